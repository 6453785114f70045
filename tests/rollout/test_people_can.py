"""No row or entry that somebody edited keeps people from bringing a service back, or from letting a release stay."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from approvals.ledger import Refused
from monitoring import audit, checkpoints
from monitoring.models import AuditEntry, AuditHead, Incident, Watch
from rollout import (
    actions,
    attempted,
    audit_care,
    deciding,
    engine,
    epochs,
    losing,
    reads,
    settling,
    to_light,
    transitions,
)
from rollout.management.commands import rollback as command
from rollout.models import Backup, Rollout, Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.monitoring.signed import house
from tests.rollout.test_edited_rows import Cast, started, state, succeeded
from tests.rollout.test_opened import asked_for, breached

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return the deploy of a release that is live."""
    return succeeded(started(target, cast), fake)


def asked_twice(target: Target, cast: Cast, fake: FakeRunner) -> tuple[Run, Run]:
    return succeeded(started(target, cast), fake), succeeded(started(target, cast, "1.2.0"), fake)


def rolled_back(deploy: Run, cast: Cast, fake: FakeRunner) -> str:
    """Return where a rollback by a person ends."""
    return state(drive(asked_for(Run.objects.get(pk=deploy.pk), cast), fake))[1]


@pytest.mark.parametrize("to", ["FAILED", "DRAFT", "ROLLED_BACK", "CANCELLED"])
def test_what_is_live_is_rolled_back_whatever_its_row_says(live: Run, cast: Cast, fake: FakeRunner, to: str) -> None:
    forger.edit(fresh(live.rollout), state=to)
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_it_is_where_the_newest_entry_about_it_was_edited(live: Run, cast: Cast, fake: FakeRunner) -> None:
    forger.edit(fresh(live.rollout), state="FAILED")
    forger.edit(AuditEntry.objects.get(action="rollout.succeeded"), why="x")
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_the_command_finds_it_too(live: Run, target: Target) -> None:
    forger.edit(fresh(live.rollout), state="FAILED")
    assert command.rollout_to_undo(target, None) == live.rollout


def test_it_is_rolled_back_where_it_is_though_its_row_names_another_target(
    live: Run, cast: Cast, fake: FakeRunner, target: Target
) -> None:
    other = Target.objects.exclude(pk=target.pk).get(component=target.component)
    forger.edit(fresh(live.rollout), target_id=other.pk)
    run = drive(asked_for(Run.objects.get(pk=live.pk), cast), fake)
    assert (run.target, state(run)[1]) == (target, "ROLLED_BACK")


@pytest.mark.parametrize("at", [None, "2020-01-01 00:00:00", "2099-01-01 00:00:00"])
def test_no_time_in_a_row_keeps_the_newest_from_being_rolled_back(
    target: Target, cast: Cast, fake: FakeRunner, at: str | None
) -> None:
    older, newer = asked_twice(target, cast, fake)
    forger.edit(fresh((older if at and at > "2050" else newer).rollout), started_at=at)
    assert rolled_back(newer, cast, fake) == "ROLLED_BACK"


@pytest.mark.parametrize("edit", [{"started_at": "2020-01-01 00:00:00"}, {"state": "ROLLED_BACK"}])
def test_no_row_lets_an_older_one_be_undone_below_a_newer(
    target: Target, cast: Cast, fake: FakeRunner, edit: dict[str, str]
) -> None:
    older, newer = asked_twice(target, cast, fake)
    forger.edit(fresh(newer.rollout), **edit)
    with pytest.raises(Refused, match=f"Rollout {newer.rollout_id} .* changed"):
        asked_for(Run.objects.get(pk=older.pk), cast)


def test_an_older_one_is_rolled_back_once_the_newer_is(target: Target, cast: Cast, fake: FakeRunner) -> None:
    older, newer = asked_twice(target, cast, fake)
    rolled_back(newer, cast, fake)
    assert rolled_back(older, cast, fake) == "ROLLED_BACK"


@pytest.mark.parametrize("by", ["a person", "the system"])
def test_the_backup_is_the_one_that_its_deploy_took_whatever_the_row_names(
    target: Target, cast: Cast, fake: FakeRunner, by: str
) -> None:
    deploy = drive(started(target, cast), fake)
    own = fresh(deploy.rollout).backup
    other = factories.make_backup(target, "/o.zip", sha256="c" * 64)
    forger.edit(fresh(deploy.rollout), backup_id=other.pk)
    run = drive(asked_for(deploy, cast) if by == "a person" else breached(deploy, cast), fake)
    assert (run.restores, state(run)[1]) == (own, "ROLLED_BACK")


def test_a_backup_that_its_row_calls_removed_is_restored_while_its_file_is_there(
    live: Run, cast: Cast, fake: FakeRunner
) -> None:
    backup = Backup.objects.get(run=live)
    Path(backup.path).write_bytes(b"0" * backup.size)
    forger.edit(backup, removed_at=str(NOW)[:19], removed_why="removed by retention after 1 days")
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_one_whose_file_is_gone_is_not_offered(live: Run, cast: Cast) -> None:
    forger.edit(Backup.objects.get(run=live), removed_at=str(NOW)[:19], removed_why="removed by retention")
    with pytest.raises(Refused, match="was removed by retention"):
        asked_for(Run.objects.get(pk=live.pk), cast)


def beyond(entry: AuditEntry) -> None:
    """Put an entry far beyond the head."""
    values = {field.attname: getattr(entry, field.attname) for field in AuditEntry._meta.local_concrete_fields}
    AuditEntry.objects.create(**values | {"id": None, "seq": 10**9, "hash": "9" * 64})


def test_no_entry_beyond_the_head_keeps_a_person_from_it(live: Run, cast: Cast, fake: FakeRunner) -> None:
    beyond(AuditEntry.objects.get(action="rollout.succeeded"))
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_the_system_rolls_nothing_back_beside_one(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    factories.decide_watches("BREACHED")
    beyond(AuditEntry.objects.get(action="rollout.watching"))
    engine.advance(deploy.pk)
    assert not Run.objects.filter(kind="rollback").exists()
    assert fresh(deploy.rollout).needs_decision


@pytest.mark.parametrize("epoch", [2**31 - 1, pytest.param(2**63 - 1, marks=pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL keeps no such number"))])  # fmt: skip
def test_no_epoch_keeps_a_person_from_it(live: Run, cast: Cast, fake: FakeRunner, target: Target, epoch: int) -> None:
    forger.edit(Target.objects.get(pk=target.pk), epoch=epoch)
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_an_epoch_that_was_honestly_raised_goes_on(target: Target) -> None:
    before = Target.objects.get(pk=target.pk).epoch
    assert epochs.next_epoch(target) == before + 1


def test_an_edited_entry_of_a_rollout_with_the_same_first_digits_is_none_of_this_one(
    live: Run, cast: Cast, fake: FakeRunner
) -> None:
    entry = AuditEntry.objects.get(action="run.deploy.opened")
    values = {field.attname: getattr(entry, field.attname) for field in AuditEntry._meta.local_concrete_fields}
    other = entry.body.replace(f'"rollout":{live.rollout_id}', f'"rollout":{live.rollout_id}7')
    edited = {"id": None, "seq": 10**9, "hash": "9" * 64, "body": other, "subject_id": "99999"}
    AuditEntry.objects.create(**values | edited)
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


def test_a_backup_that_a_person_named_is_restored_though_its_entry_was_edited(
    live: Run, cast: Cast, fake: FakeRunner
) -> None:
    backup = Backup.objects.get(run=live)
    forger.edit(AuditEntry.objects.get(action="backup.taken"), subject_label="x")
    olaf = cast["olaf"]
    run = actions.roll_back(
        fresh(live.rollout), user=olaf, why="customers complain", by=actor(olaf), now=NOW, backup=backup
    )
    assert state(drive(run, fake))[1] == "ROLLED_BACK"


def lost(deploy: Run) -> None:
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)


@pytest.fixture
def astray(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return a deploy whose rollout was written to be a draft, and whose host was lost then."""
    deploy = drive(started(target, cast), fake, stop_at="switch")
    forger.edit(fresh(deploy.rollout), state="DRAFT")
    lost(deploy)
    return Run.objects.get(pk=deploy.pk)


def test_what_is_parked_parks_its_rollout_whatever_that_row_says(astray: Run) -> None:
    assert state(astray) == ("UNKNOWN", "UNKNOWN")


@pytest.fixture
def unknown(target: Target, cast: Cast, fake: FakeRunner) -> Rollout:
    """Return the rollout of a step that nobody saw end, which was written to be a draft."""
    deploy = drive(started(target, cast), fake, stop_at="switch")
    lost(deploy)
    forger.edit(fresh(deploy.rollout), state="DRAFT")
    return fresh(deploy.rollout)


def test_it_is_decided_by_people(unknown: Rollout, cast: Cast, fake: FakeRunner) -> None:
    fake.lose()
    with pytest.raises(Refused, match=r"proof|host|confirm|target says|Wait|asked"):
        deciding.done(unknown, user=cast["olaf"], why="I looked at it.", by=actor(cast["olaf"]), now=NOW)
    assert unknown.state == "UNKNOWN"


def test_it_is_settled_by_people(unknown: Rollout, cast: Cast, fake: FakeRunner) -> None:
    fake.lose()
    settling.settle(unknown, user=cast["olaf"], why="put right by hand", by=actor(cast["olaf"]), now=NOW)
    assert fresh(unknown).state == "ROLLED_BACK_UNHEALTHY"


def accepted(deploy: Run, cast: Cast) -> None:
    olaf = cast["olaf"]
    actions.accept(fresh(deploy.rollout), user=olaf, why="I looked: it is well.", by=actor(olaf), now=NOW)
    engine.advance(deploy.pk)


@pytest.fixture
def broken(target: Target, cast: Cast, fake: FakeRunner, settings: LazySettings, tmp_path: Path) -> Run:
    """Return a deploy that is watched, over a break of the chain that an admin accepted."""
    house(settings, tmp_path / "house")
    deploy = started(target, cast)
    checkpoints.Notary(()).look(NOW)
    drive(deploy, fake)
    reads.log(deploy.steps.get(kind="check"), by=actor(cast["ann"]), now=NOW)
    forger.edit(AuditEntry.objects.order_by("-seq")[0], why="x")
    ada = cast["ada"]
    audit_care.accept(user=ada, why="somebody edited it", by=actor(ada), now=NOW)
    return deploy


@pytest.mark.parametrize("outcome", ["PASSED", "BREACHED", "NEEDS_DECISION"])
def test_a_release_stays_by_a_persons_word_over_a_break_that_was_accepted(
    broken: Run, cast: Cast, outcome: str
) -> None:
    factories.decide_watches(outcome, "all well")
    engine.advance(broken.pk)
    assert fresh(broken.rollout).needs_decision
    accepted(broken, cast)
    assert state(broken) == ("SUCCEEDED", "SUCCEEDED")


def test_it_is_rolled_back_by_his_word(broken: Run, cast: Cast, fake: FakeRunner) -> None:
    factories.decide_watches("PASSED", "all well")
    engine.advance(broken.pk)
    assert rolled_back(broken, cast, fake) == "ROLLED_BACK"


def test_a_word_that_somebody_made_up_lets_nothing_stay(broken: Run) -> None:
    factories.decide_watches("PASSED", "all well")
    entry = AuditEntry.objects.filter(subject_kind="rollout").order_by("-seq")[0]
    beyond(entry)
    forger.edit(AuditEntry.objects.get(seq=10**9), action="watch.accepted", actor_id=1)
    engine.advance(broken.pk)
    assert state(broken) == ("RUNNING", "WATCHING")


def test_a_breach_that_only_its_row_tells_is_accepted_or_not_by_people(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Watch.objects.get(), outcome="BREACHED", state="DECIDED")
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).needs_decision
    accepted(deploy, cast)
    assert state(deploy) == ("SUCCEEDED", "SUCCEEDED")


def test_a_breach_that_is_rolled_back_by_itself_is_accepted_by_nobody(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    factories.decide_watches("BREACHED")
    Rollout.objects.filter(pk=deploy.rollout_id).update(needs_decision="somebody wrote that")
    with pytest.raises(Refused, match="awaits no decision"):
        accepted(deploy, cast)


def test_a_release_that_its_row_disowns_is_put_back_and_told(live: Run) -> None:
    forger.edit(fresh(live.rollout), state="FAILED")
    to_light.look(NOW)
    to_light.look(NOW)
    assert fresh(live.rollout).state == "SUCCEEDED"
    assert Incident.objects.filter(title__contains="only its row said failed").count() == 1


def test_one_that_was_rolled_back_since_is_left_as_it_is(live: Run, cast: Cast, fake: FakeRunner) -> None:
    rolled_back(live, cast, fake)
    to_light.look(NOW)
    assert fresh(live.rollout).state == "ROLLED_BACK"
    assert not Incident.objects.filter(title__contains="only its row said").exists()


def told(action: str, about: Rollout | Run | Target, **more: Any) -> AuditEntry:
    """Put a row far beyond the head that says what an entry would."""
    with audit.turn():
        entry = audit.append(action=action, by=audit.SYSTEM, subject=transitions.subject_of(about), now=NOW, **more)
    forger.remove(AuditEntry.objects.get(pk=entry.pk))
    last = AuditEntry.objects.order_by("-seq")[0]
    AuditHead.objects.update(seq=last.seq, hash=last.hash)
    values = {field.attname: getattr(entry, field.attname) for field in AuditEntry._meta.local_concrete_fields}
    return AuditEntry.objects.create(**values | {"id": None, "seq": 10**9})


def test_a_breach_that_came_while_it_was_accepted_is_accepted_by_nobody(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = drive(started(target, cast), fake)
    factories.decide_watches("NEEDS_DECISION", "no data")
    engine.advance(deploy.pk)
    turn = audit.turn

    def late() -> Any:
        monkeypatch.setattr(audit, "turn", turn)
        factories.decide_watches("BREACHED", "too slow")
        return turn()

    monkeypatch.setattr(audit, "turn", late)
    with pytest.raises(Refused, match="breached by now: look again"):
        accepted(deploy, cast)
    assert Watch.objects.get().outcome == "BREACHED"


def test_no_start_beyond_the_head_keeps_the_newest_from_being_rolled_back(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    older, newer = asked_twice(target, cast, fake)
    told("rollout.running", fresh(older.rollout), new="RUNNING")
    assert rolled_back(newer, cast, fake) == "ROLLED_BACK"


def test_nor_does_an_edited_entry_of_its_own_start(target: Target, cast: Cast, fake: FakeRunner) -> None:
    _, newer = asked_twice(target, cast, fake)
    mine = AuditEntry.objects.get(action="rollout.running", subject_id=str(newer.rollout_id))
    forger.edit(mine, action="rollout.x")
    assert rolled_back(newer, cast, fake) == "ROLLED_BACK"


@pytest.mark.parametrize("action", ["run.deploy.opened", "backup.taken"])
def test_no_row_beyond_the_head_about_what_is_undone_keeps_a_person_from_it(
    live: Run, cast: Cast, fake: FakeRunner, action: str
) -> None:
    data = {"sha256": Backup.objects.get(run=live).sha256} if action == "backup.taken" else {}
    told(action, live.target if data else live, new="RUNNING", data=data)
    assert rolled_back(live, cast, fake) == "ROLLED_BACK"


@pytest.fixture
def hidden(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return a deploy at work whose rows say that it failed."""
    deploy = drive(started(target, cast), fake, stop_at="check")
    engine.advance(deploy.pk)
    forger.edit(Run.objects.get(pk=deploy.pk), state="FAILED")
    forger.edit(fresh(deploy.rollout), state="FAILED")
    return deploy


def test_a_run_at_work_is_found_though_the_newest_entry_of_its_step_was_edited(hidden: Run) -> None:
    forger.edit(AuditEntry.objects.filter(subject_kind="step").exclude(new="").latest("seq"), new="FAILED")
    to_light.look(NOW)
    assert state(hidden) == ("RUNNING", "RUNNING") and Incident.objects.filter(severity="P0").exists()


def test_one_whose_place_a_row_keeps_is_told_of(hidden: Run, target: Target, cast: Cast) -> None:
    forged = factories.make_draft(target, cast["rita"], "1.9.0")
    row = Run.objects.create(rollout=forged, target=target, kind="validate", state="UNKNOWN", created_at=NOW, epoch=1)
    told("run.unknown", row, new="UNKNOWN")
    to_light.look(NOW)
    to_light.look(NOW)
    assert Incident.objects.filter(severity="P0").count() == 1


def test_an_abort_that_a_restore_of_an_older_version_took_back_stays_so(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    olaf = cast["olaf"]
    actions.abort(fresh(deploy.rollout), user=olaf, why="customers complain", by=actor(olaf), now=NOW)
    Run.objects.filter(pk=deploy.pk).update(abort_requested=False)
    with audit.turn():
        about = audit.Subject(kind="installation", id="1", label="installation")
        audit.append(action="installation.restored", by=audit.SYSTEM, subject=about, now=NOW)
    engine.advance(deploy.pk)
    assert not Run.objects.filter(kind="rollback").exists()


def test_what_is_live_again_after_a_newer_one_was_rolled_back_is_put_back(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    older, newer = asked_twice(target, cast, fake)
    rolled_back(newer, cast, fake)
    forger.edit(fresh(older.rollout), state="CANCELLED")
    to_light.look(NOW)
    assert fresh(older.rollout).state == "SUCCEEDED"


@pytest.mark.parametrize(("by_row", "by_audit", "may"), [(True, False, 1), (False, True, 1), (False, False, 0)])
def test_a_breach_that_the_audit_tells_is_accepted_only_where_it_is_left_to_people(
    target: Target,
    cast: Cast,
    fake: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    by_row: bool,
    by_audit: bool,
    may: int,
) -> None:
    deploy = drive(started(target, cast), fake)
    factories.decide_watches("BREACHED")
    asked = Rollout.objects.filter(pk=deploy.rollout_id)
    asked.update(needs_decision="it breached again", automatic_rollback_used=by_row)
    monkeypatch.setattr(attempted, "is_left_to_people", lambda rollout: by_audit)
    with contextlib.nullcontext() if may else pytest.raises(Refused, match="awaits no decision"):
        accepted(deploy, cast)
    assert Watch.objects.get().outcome == ("PASSED" if may else "BREACHED")


@pytest.mark.parametrize(("missing", "said"), [(("an approver",), "an approver"), ((), "one again, given while")])
def test_what_waits_says_which_sign_off_is_missing(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], said: str
) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    monkeypatch.setattr(actions.ledger, "standing", lambda sign_off, now: SimpleNamespace(missing=missing))
    assert actions.why_not_startable(waiting, now=NOW).startswith(f"Sign-offs are missing: {said}")
