"""What a run records of a step, and how it ends, is compared with the audit first: also while a command is at work."""

from collections.abc import Callable

import pytest
from django.conf import LazySettings

from approvals.ledger import Refused
from monitoring import anchors, audit
from monitoring.models import AuditEntry, Incident, Notice
from rollout import (
    actions,
    as_told,
    commands,
    deciding,
    endings,
    engine,
    heartbeat,
    journal,
    leftovers,
    losing,
    opening,
    readiness,
    reads,
)
from rollout.models import Rollout, Run, Step, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.rollout.test_attempted import fails, is_aborted
from tests.rollout.test_edited_rows import Cast, started, state, succeeded
from tests.rollout.test_opened import asked_for, breached

pytestmark = pytest.mark.django_db
WHY = "It looks wrong to me."


def swap(one: Step, other: Step) -> None:
    """Let two steps have each other's number, so that each finds the other's folder."""
    numbers = one.number, other.number
    forger.edit(one, number=999)
    forger.edit(other, number=numbers[0])
    forger.edit(one, number=numbers[1])


@pytest.mark.parametrize("end", [fails, is_aborted])
def test_a_deploy_that_was_written_to_be_of_an_older_rollout_restores_nothing(
    target: Target, cast: Cast, fake: FakeRunner, end: Callable
) -> None:
    older = succeeded(started(target, cast), fake)
    deploy = drive(started(target, cast, "1.2.0"), fake, stop_at="check")
    if end is is_aborted:
        actions.abort(fresh(deploy.rollout), user=cast["olaf"], why=WHY, by=actor(cast["olaf"]), now=NOW)
    own = deploy.rollout
    forger.edit(deploy, rollout_id=older.rollout_id)
    forger.edit(own, state="FAILED")
    fake.fail("it said no")
    engine.advance(deploy.pk)
    assert not Run.objects.filter(kind="rollback").exists()
    assert (state(deploy), fresh(own).state) == (("UNKNOWN", "UNKNOWN"), "UNKNOWN")


def test_a_deploy_that_was_written_to_be_of_a_draft_is_parked_with_its_own_rollout(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast, "1.2.0"), fake, stop_at="check")
    own = deploy.rollout
    forger.edit(deploy, rollout_id=factories.make_draft(target, cast["rita"], "1.3.0").pk)
    fails(deploy, cast["olaf"], fake)
    assert fresh(own).state == "UNKNOWN"


@pytest.mark.parametrize(("stop", "other"), [("migrate", "stage"), ("check", "switch")])
def test_a_step_is_not_recorded_by_what_another_one_left(
    target: Target, cast: Cast, fake: FakeRunner, stop: str, other: str
) -> None:
    deploy = drive(started(target, cast), fake, stop_at=stop)
    swap(deploy.steps.get(kind=stop), deploy.steps.get(kind=other))
    engine.advance(deploy.pk)
    assert (deploy.steps.get(kind=stop).state, state(deploy)) == ("UNKNOWN", ("UNKNOWN", "UNKNOWN"))


def test_a_proof_of_a_rollback_is_not_recorded_by_what_another_step_left(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    rollback = drive(asked_for(drive(started(target, cast), fake), cast), fake, stop_at="verify:restored")
    swap(rollback.steps.get(state="RUNNING"), rollback.steps.get(kind="restore"))
    engine.advance(rollback.pk)
    assert state(rollback) == ("FAILED", "NOT_RESTORED")


def test_a_step_that_ended_is_not_begun_again_by_its_row(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    forger.edit(deploy.steps.get(kind="check"), state="PENDING")
    forger.edit(deploy.steps.get(kind="migrate"), state="RUNNING", attempt=2)
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_no_command_is_ended_by_a_time_out_that_somebody_wrote(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollback = drive(asked_for(drive(started(target, cast), fake), cast), fake, stop_at="restore")
    forger.edit(rollback.steps.get(state="RUNNING"), timeout_s=0)
    engine.advance(rollback.pk)
    assert "is not the one that was begun" in fresh(rollback.rollout).state_why


def test_a_lost_host_ends_no_deploy_as_a_validate_run(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    forger.edit(deploy, kind="validate")
    deploy.steps.filter(effect=True).update(effect=False)
    forger.edit(fresh(deploy.rollout), state="VALIDATING")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_what_is_moved_meanwhile_is_no_edit(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    seen = Run.objects.with_places().get(pk=deploy.pk), deploy.steps.get(state="RUNNING")
    fake.succeed()
    engine.advance(deploy.pk)
    with pytest.raises(engine.ConflictError):
        engine.standing.at_work(*seen)


HOLDS = ["RUNNING", "WATCHING", "ROLLING_BACK", "UNKNOWN", "NOT_RESTORED"]


@pytest.mark.parametrize("written", HOLDS)
def test_no_row_of_another_rollout_keeps_a_person_from_rolling_back(
    target: Target, cast: Cast, fake: FakeRunner, written: str
) -> None:
    live, other = succeeded(started(target, cast), fake), factories.make_draft(target, cast["rita"], "1.2.0")
    forger.edit(other, state=written)
    assert asked_for(live, cast).state == "RUNNING"
    assert fresh(other).state == "DRAFT"


def test_no_row_of_an_older_run_keeps_a_person_from_rolling_back(target: Target, cast: Cast, fake: FakeRunner) -> None:
    older, live = succeeded(started(target, cast), fake), succeeded(started(target, cast, "1.2.0"), fake)
    forger.edit(older, state="UNKNOWN")
    assert asked_for(live, cast).state == "RUNNING"


def test_no_run_that_nobody_opened_keeps_another_from_beginning(target: Target, cast: Cast, fake: FakeRunner) -> None:
    older = succeeded(started(target, cast), fake)
    values = {"host_id": older.host_id, "kind": "deploy", "state": "UNKNOWN", "created_at": NOW}
    made = Run.objects.create(rollout=older.rollout, target=target, **values)
    assert state(started(target, cast, "1.2.0"))[0] == "RUNNING" and Run.objects.get(pk=made.pk).state == "CANCELLED"


@pytest.mark.parametrize("written", HOLDS)
def test_a_run_ends_beside_a_row_that_claims_its_place(
    target: Target, cast: Cast, fake: FakeRunner, written: str
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    other = factories.make_draft(target, cast["rita"], "1.2.0")
    forger.edit(fresh(deploy.rollout), state="DRAFT")
    forger.edit(other, state=written)
    fails(deploy, cast["olaf"], fake)
    assert state(deploy) == ("FAILED", "ROLLING_BACK")


def test_nothing_begins_beside_a_run_that_was_written_as_over(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy, state="SUCCEEDED")
    forger.edit(fresh(deploy.rollout), state="SUCCEEDED")
    second = started(target, cast, "1.2.0")
    assert (state(second)[0], state(deploy)) == ("QUEUED", ("RUNNING", "RUNNING"))


def without_an_entry(deploy: Run, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an entry that has nothing to do with it out of the chain behind what the anchor file knows."""
    known = anchors.Point(*audit.head())
    monkeypatch.setattr(anchors, "last", lambda: known)
    for step in deploy.steps.filter(state="SUCCEEDED")[:2]:
        reads.log(step, by=actor(cast["ann"]), now=NOW)
    forger.remove(AuditEntry.objects.order_by("-seq")[1])


def test_a_person_rolls_back_over_a_chain_that_lost_an_entry(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = succeeded(started(target, cast), fake)
    without_an_entry(deploy, cast, monkeypatch)
    assert state(drive(asked_for(deploy, cast), fake)) == ("SUCCEEDED", "ROLLED_BACK")


def test_the_system_rolls_nothing_back_over_a_chain_that_lost_an_entry(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = drive(started(target, cast), fake)
    without_an_entry(deploy, cast, monkeypatch)
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).needs_decision and not Run.objects.filter(kind="rollback").exists()


@pytest.mark.parametrize("start", [breached, asked_for])
def test_the_backup_is_found_by_the_audit_where_the_row_names_none(
    target: Target, cast: Cast, fake: FakeRunner, start: Callable
) -> None:
    deploy = drive(started(target, cast), fake)
    own = fresh(deploy.rollout).backup
    forger.edit(fresh(deploy.rollout), backup_id=None)
    assert start(deploy, cast).restores == own


def test_an_abort_of_a_run_that_waits_is_done_though_the_anchor_file_knows_more(
    target: Target, cast: Cast, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    actions.abort(fresh(rollout), user=cast["olaf"], why=WHY, by=actor(cast["olaf"]), now=NOW)
    monkeypatch.setattr(anchors, "last", lambda: anchors.Point(audit.head()[0] + 9, "x"))
    engine.advance(run.pk)
    assert state(run) == ("CANCELLED", "CANCELLED")


@pytest.mark.parametrize("what", [deciding.done, deciding.not_done])
def test_nobody_decides_about_a_step_that_only_its_row_says_is_unknown(
    target: Target, cast: Cast, fake: FakeRunner, what: Callable
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy.steps.get(kind="stage"), attempt=2)
    fake.succeed()
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")
    forger.edit(deploy.steps.get(kind="switch"), state="UNKNOWN")
    with pytest.raises(Refused, match="This is not what became unknown"):
        what(fresh(deploy.rollout), user=cast["olaf"], why=WHY, by=actor(cast["olaf"]), now=NOW)


def test_a_breach_that_rows_give_to_people_is_rolled_back(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(fresh(deploy.rollout), automatic_rollback_used=True, needs_decision="x")
    assert breached(deploy, cast).state == "RUNNING"


def test_each_of_these_is_told_aloud(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    swap(deploy.steps.get(kind="migrate"), deploy.steps.get(kind="stage"))
    engine.advance(deploy.pk)
    assert Incident.objects.get().severity == "P0" and Rollout.objects.get().state == "UNKNOWN"


@pytest.fixture
def own(target: Target, cast: Cast, fake: FakeRunner) -> Rollout:
    """Return a rollout whose deploy, to be aborted, was written to be of an older one."""
    older = succeeded(started(target, cast), fake)
    deploy = drive(started(target, cast, "1.2.0"), fake)
    own = deploy.rollout
    actions.abort(fresh(own), user=cast["olaf"], why=WHY, by=actor(cast["olaf"]), now=NOW)
    forger.edit(deploy, rollout_id=older.rollout_id)
    forger.edit(fresh(own), state="FAILED")
    return own


def test_an_abort_on_a_lost_host_restores_no_older_rollout(own: Rollout) -> None:
    losing._give_up(Run.objects.get(state="RUNNING"), NOW)
    assert not Run.objects.filter(kind="rollback").exists() and fresh(own).state == "UNKNOWN"


def test_an_abort_goes_by_the_rollout_for_which_the_run_was_opened(own: Rollout) -> None:
    endings.aborted(Run.objects.with_places().get(state="RUNNING"), now=NOW)
    assert Run.objects.get(kind="rollback").rollout_id == own.pk


def test_an_unknown_run_that_was_moved_away_is_rolled_back_by_its_own_rollout(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    older = succeeded(started(target, cast), fake)
    deploy = drive(started(target, cast, "1.2.0"), fake, stop_at="switch")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    own = deploy.rollout
    forger.edit(deploy, rollout_id=older.rollout_id)
    assert asked_for(Run(rollout=own), cast).state == "RUNNING"
    assert Run.objects.get(pk=deploy.pk).state == "FAILED"


def test_a_row_that_holds_a_target_is_put_back_by_the_entries_that_nobody_edited(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    live, other = succeeded(started(target, cast), fake), factories.make_draft(target, cast["rita"], "1.2.0")
    tuned = AuditEntry.objects.filter(subject_kind="rollout", subject_id=str(other.pk)).order_by("-seq").first()
    assert tuned
    forger.edit(tuned, subject_label="x")
    forger.edit(other, state="RUNNING")
    assert asked_for(live, cast).state == "RUNNING" and fresh(other).state == "DRAFT"


def test_a_run_that_may_have_begun_by_an_entry_that_was_edited_keeps_its_place(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    for kind in ("run", "rollout"):
        forger.edit(AuditEntry.objects.get(action=f"{kind}.running"), subject_label="x")
    as_told.make_way(target, but=factories.make_draft(target, cast["rita"], "1.2.0"))
    assert state(deploy) == ("RUNNING", "RUNNING")


def broken_chain(cast: Cast, of: Run) -> None:
    reads.log(of.steps.filter(state="SUCCEEDED").first(), by=actor(cast["ann"]), now=NOW)
    forger.edit(AuditEntry.objects.order_by("-seq")[0], why="x")


def test_a_lost_host_ends_a_validate_run_over_a_chain_that_broke(target: Target, cast: Cast, fake: FakeRunner) -> None:
    draft = factories.make_draft(target, cast["rita"])
    run = drive(actions.submit(draft, user=cast["rita"], by=actor(cast["rita"]), now=NOW), fake, stop_at="backup")
    broken_chain(cast, run)
    losing.host_lost(Run.objects.get(pk=run.pk), now=NOW)
    assert state(run) == ("FAILED", "DRAFT")


def test_a_later_rollout_that_changed_nothing_keeps_nobody_from_rolling_back_over_a_chain_that_broke(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    live = succeeded(started(target, cast), fake)
    drive(started(target, cast, "1.2.0"), fake, fail_at="preflight")
    broken_chain(cast, live)
    assert asked_for(live, cast).state == "RUNNING"


def test_it_is_not_done_starts_no_rollback_that_cannot_work(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="switch")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    fake.lose()
    broken_chain(cast, deploy)
    with pytest.raises(Refused, match="What there is to undo is not clear"):
        deciding.not_done(fresh(deploy.rollout), user=cast["olaf"], why=WHY, by=actor(cast["olaf"]), now=NOW)


def test_a_breach_is_left_to_people_whatever_the_row_says(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    journal.withhold_rollback(deploy.rollout, why="another release may be live by now", now=NOW)
    forger.edit(fresh(deploy.rollout), automatic_rollback_used=False)
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    engine.advance(deploy.pk)
    assert (fresh(deploy.rollout).state, fresh(deploy.rollout).needs_decision) == ("WATCHING", "p95 above 2000 ms")


def test_what_waits_for_people_is_not_late(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = drive(started(target, cast), fake)
    journal.withhold_rollback(deploy.rollout, why="another release may be live by now", now=NOW)
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    engine.advance(deploy.pk)
    monkeypatch.setattr(heartbeat.OBSERVER, "age_s", lambda *_, **__: 3600.0)
    monkeypatch.setattr(readiness.watcher, "next_due", lambda *_, **__: None)
    monkeypatch.setattr(readiness.notices, "next_due", lambda *_: None)
    assert [one.ok for one in readiness.due()] == [True]


@pytest.mark.parametrize("written", ["FAILED", "UNKNOWN"])
@pytest.mark.parametrize("begun", [True, False])
def test_no_command_at_work_is_cancelled_by_a_row(
    target: Target, cast: Cast, fake: FakeRunner, written: str, begun: bool
) -> None:
    rollback = drive(asked_for(drive(started(target, cast), fake), cast), fake, stop_at="restore")
    if not begun:
        fake.started.clear()
    forger.edit(rollback.steps.get(state="RUNNING"), state=written)
    leftovers.stop_late()
    assert fake.cancelled == set()


def test_what_is_unknown_is_not_cancelled_by_a_row_that_says_it_failed(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="switch")
    endings.unknown(deploy, deploy.steps.get(kind="switch"), why="its runner was lost", now=NOW)
    forger.edit(deploy.steps.get(kind="switch"), state="FAILED")
    leftovers.stop_late()
    assert fake.cancelled == set()


def test_what_was_given_up_before_it_was_started_is_cancelled(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="switch")
    endings.unknown(deploy, deploy.steps.get(kind="switch"), why="its host was lost", now=NOW)
    fake.started.clear()
    leftovers.stop_late()
    assert fake.cancelled == {fake.current}


def test_what_a_step_left_is_not_removed_by_its_number_of_another(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    stage = deploy.steps.get(kind="stage")
    output = commands.folder_of(stage) / "output.log"
    output.write_text("staged")
    fake.succeed()
    swap(stage, deploy.steps.get(kind="switch"))
    engine.advance(deploy.pk)
    assert output.exists() and state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_a_lost_host_ends_a_validate_run_whose_rollout_was_written_as_a_draft(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    draft = factories.make_draft(target, cast["rita"])
    run = drive(actions.submit(draft, user=cast["rita"], by=actor(cast["rita"]), now=NOW), fake, stop_at="backup")
    forger.edit(fresh(draft), state="DRAFT")
    losing.host_lost(Run.objects.get(pk=run.pk), now=NOW)
    assert state(run) == ("FAILED", "DRAFT")


@pytest.mark.parametrize("edit", [{"state": "X"}, {"state": "CLOSED"}])
def test_no_row_of_an_incident_keeps_a_run_from_ending(
    target: Target, cast: Cast, fake: FakeRunner, edit: dict[str, str]
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    named = opening.open_incident(fresh(deploy.rollout), "P1", title="x", why="y", runbook="incident", now=NOW)
    forger.edit(named, **edit)
    forger.edit(deploy, incident_id=named.pk)
    forger.edit(deploy.steps.get(state="RUNNING"), timeout_s=7)
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")
    assert Incident.objects.get(severity="P0").pk == Run.objects.get(pk=deploy.pk).incident_id != named.pk


def test_people_are_told_that_a_run_does_not_go_on_whatever_incident_its_row_names(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    draft = factories.make_draft(target, cast["rita"])
    run = actions.submit(draft, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    drive(run, fake, fail_at="rehearse")
    named = opening.open_incident(fresh(draft), "P0", title="x", why="y", runbook="incident", now=NOW)
    forger.edit(Run.objects.get(pk=run.pk), incident_id=named.pk, state="QUEUED")
    told = Notice.objects.count()
    engine.advance(run.pk)
    assert Incident.objects.latest("pk").title == f"Run {run.pk} does not go on: it is failed"
    assert Notice.objects.count() > told


def queued_beside(live: Run, cast: Cast, **edit: str) -> Run:
    """Return a run that waits while the row of an older rollout says something else than the audit."""
    rollout = factories.make_approved(fresh(live.rollout).target, cast, "1.2.0")
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    forger.edit(fresh(live.rollout), **edit)
    return run


@pytest.mark.parametrize("written", HOLDS)
def test_no_row_of_an_older_rollout_holds_a_deploy_that_waits(
    target: Target, cast: Cast, fake: FakeRunner, written: str
) -> None:
    live = succeeded(started(target, cast), fake)
    run = queued_beside(live, cast, state=written)
    engine.advance(run.pk)
    assert state(run)[0] == "RUNNING" and fresh(live.rollout).state == "SUCCEEDED"


@pytest.mark.parametrize("written", ["RUNNING", "WATCHING"])
def test_a_deploy_that_waits_says_which_edited_row_it_waits_for(
    target: Target, cast: Cast, fake: FakeRunner, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = succeeded(started(target, cast), fake)
    forger.edit(AuditEntry.objects.get(action="rollout.succeeded"), subject_label="x")
    known = anchors.Point(*audit.head())
    monkeypatch.setattr(anchors, "last", lambda: known)
    run = queued_beside(live, cast, state=written)
    engine.advance(run.pk)
    assert state(run)[0] == "QUEUED"
    why = f"rollout {live.rollout_id} seems to hold the target; the database was edited"
    assert fresh(run.rollout).state_why == why


def test_a_deploy_that_waits_for_another_says_nothing_of_an_edit(target: Target, cast: Cast, fake: FakeRunner) -> None:
    drive(started(target, cast), fake, stop_at="check")
    second = started(target, cast, "1.2.0")
    assert (state(second)[0], fresh(second.rollout).state_why) == ("QUEUED", "")
