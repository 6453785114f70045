"""Somebody writes rows while runs are under way: nothing is done that the audit does not tell, nor undone."""

import hashlib
from typing import Any

import pytest
from django.contrib.auth.models import User

from approvals import proven
from approvals.models import SignOff
from monitoring import anchors, audit, canonical, watch_seal, watcher
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry, Incident, Watch
from rollout import actions, borne, engine, losing, plan, reads, settling, tasks, transitions
from rollout.models import Backup, Rollout, Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh, later
from tests.fakes import FakeRunner, drive
from tests.rollout.test_borne import write
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


def started(target: Target, cast: Cast, version: str = "1.1.0") -> Run:
    """Return a deploy run whose first step runs."""
    rollout = factories.make_approved(target, cast, version)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    engine.advance(run.pk)
    return run


@pytest.fixture
def deploy(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    return started(target, cast)


def state(run: Run) -> tuple[str, str]:
    found = Run.objects.get(pk=run.pk)
    return found.state, fresh(found.rollout).state


def succeeded(run: Run, fake: FakeRunner) -> Run:
    """Let a deploy be watched to its end."""
    drive(run, fake)
    factories.decide_watches("PASSED", "all well")
    engine.advance(run.pk)
    assert state(run) == ("SUCCEEDED", "SUCCEEDED")
    return run


def appended(action: str, subject: Any, seq: int, **told: Any) -> str:
    """Insert an entry past the product, somewhere beyond the head, with one after it that goes on from it."""
    values = {"action": action, "new": told.get("new", ""), "via": "system", "actor_name": "system"}
    body = canonical.dumps({"seq": seq, "prev": "0" * 64, "data": told.get("data", {}), **values})
    digest = hashlib.sha256(body.encode()).hexdigest()
    about = subject.columns()
    AuditEntry.objects.create(seq=seq, at=NOW, body=body, prev="0" * 64, hash=digest, **values, **about)
    AuditEntry.objects.create(seq=seq + 1, at=NOW, body="{}", prev=digest, hash="1" * 64, **{**values, "action": "x"})
    return digest


def test_entries_beyond_the_head_open_no_run(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    forger.edit(rollout, state="RUNNING")
    forger.edit(SignOff.objects.get(), state="USED")
    run = write(rollout, "deploy", list(plan.deploy(target.spec, "1.1.0", "x")), state="RUNNING", epoch=1)
    appended("run.deploy.opened", transitions.subject_of(run), audit.head()[0] + 1000, new="RUNNING")
    engine.advance(run.pk)
    assert fake.started == [] and state(run) == ("FAILED", "WAITING")


def test_a_sign_off_that_was_used_rests_on_approvals(target: Target, cast: Cast) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    sign_off = SignOff.objects.get()
    for counted in ([], [cast["ann"].pk, cast["abe"].pk, cast["olaf"].pk]):
        with audit.turn():
            data = {"sign_off": sign_off.pk, "digest": sign_off.digest, "counted": counted}
            subject = transitions.subject_of(rollout)
            seq = audit.append(action="sign_off.used", by=SYSTEM, subject=subject, new="USED", data=data, now=NOW).seq
        assert "counts more approvals than were given" in "".join(proven.used_problems(sign_off, after=seq - 1))
    assert list(proven.used_problems(sign_off, after=seq)) == [
        "no entries tell that its sign-off was used for this run"
    ]
    assert list(proven.used_problems(sign_off, after=0)) == ["2 entries tell that its sign-off was used for this run"]


def test_a_run_that_ended_and_is_written_as_running_undoes_nothing_below_a_newer_one(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    old = succeeded(started(target, cast), fake)
    succeeded(started(fresh(old.rollout).target, cast, "1.2.0"), fake)
    forger.edit(fresh(old.rollout), state="RUNNING")
    forger.edit(Run.objects.get(pk=old.pk), state="RUNNING")
    forger.edit(old.steps.get(kind="watch"), state="PENDING")
    engine.advance(old.pk)
    assert state(old) == ("SUCCEEDED", "SUCCEEDED") and not Run.objects.filter(kind="rollback").exists()
    assert Incident.objects.get().title == f"Run {old.pk} does not go on: it is succeeded"


def test_a_deploy_that_was_written_as_begun_undoes_nothing(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    forger.edit(rollout, state="RUNNING")
    run = write(rollout, "deploy", list(plan.deploy(target.spec, "1.1.0", "x")), state="RUNNING", epoch=1)
    run.steps.filter(effect=True).update(attempt=1)
    engine.advance(run.pk)
    assert state(run) == ("FAILED", "WAITING") and fake.started == []


def test_an_abort_that_nobody_asked_for_is_none(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="check")
    Run.objects.update(abort_requested=True, abort_by="tom")
    engine.advance(deploy.pk)
    assert fake.cancelled == set()
    drive(deploy, fake)
    engine.advance(deploy.pk)
    assert state(deploy) == ("RUNNING", "WATCHING")


EDITS = [
    ("stage", {"state": "PENDING"}), ("stage", {"attempt": 0}), ("switch", {"state": "SUCCEEDED"}),
    ("switch", {"state": "SKIPPED"}), ("check", {"timeout_s": 9}), ("switch", {"attempt": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "edit"), EDITS)
def test_a_step_that_does_not_stand_where_the_audit_tells_stops_the_run(
    deploy: Run, fake: FakeRunner, kind: str, edit: dict[str, Any]
) -> None:
    drive(deploy, fake, stop_at="migrate")
    fake.succeed()
    forger.edit(deploy.steps.get(kind=kind), **edit)
    before = len(fake.started)
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN") and len(fake.started) == before


def test_a_deploy_whose_attempts_were_hidden_is_rolled_back_when_it_fails(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="check")
    for step in deploy.steps.filter(effect=True):
        forger.edit(step, attempt=0)
    fake.fail()
    engine.advance(deploy.pk)
    assert state(deploy) == ("FAILED", "ROLLING_BACK")


def test_steps_that_were_all_written_as_done_end_no_deploy_well(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    for step in deploy.steps.filter(state="PENDING"):
        forger.edit(step, state="SUCCEEDED")
    fake.succeed()
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN") and "No step is left" in fresh(deploy.rollout).state_why
    olaf = fresh(deploy.rollout), User.objects.get(username="olaf")
    settling.settle(olaf[0], user=olaf[1], why="looked at it, all is well", by=actor(olaf[1]), now=NOW)
    assert fresh(deploy.rollout).state == "ROLLED_BACK_UNHEALTHY"


@pytest.mark.parametrize("edit", [{"restores_id": 2}, {"params": "{}"}])
def test_a_rollback_that_was_changed_runs_nothing_more(
    deploy: Run, fake: FakeRunner, edit: dict[str, Any], target: Target
) -> None:
    backup = factories.make_backup(target)
    Rollout.objects.update(backup=backup)
    other = factories.make_backup(target, "/other.zip", sha256="c" * 64)
    drive(deploy, fake, stop_at="switch")
    fake.fail()
    engine.advance(deploy.pk)
    rollback = Run.objects.get(kind="rollback")
    edited = rollback if "restores_id" in edit else rollback.steps.get(kind="check")
    forger.edit(edited, **({"restores_id": other.pk} if "restores_id" in edit else edit))
    before = len(fake.started)
    engine.advance(rollback.pk)
    assert state(rollback) == ("FAILED", "NOT_RESTORED") and len(fake.started) == before


@pytest.mark.parametrize("text", ["x", "[]", "{}", '"a"', "5", "[" * 20000])
def test_something_in_the_place_of_the_manifest_raises_nowhere(deploy: Run, fake: FakeRunner, text: str) -> None:
    drive(deploy, fake, stop_at="switch")
    digest = hashlib.sha256(text.encode()).hexdigest()
    forger.edit(fresh(deploy.rollout), manifest=text, digest=digest)
    forger.edit(SignOff.objects.get(), manifest=text, digest=digest)
    fake.fail()
    tasks.advance(deploy.pk)
    rollback = Run.objects.get(kind="rollback")
    drive(rollback, fake)
    assert state(rollback)[1] == "ROLLED_BACK"


@pytest.mark.parametrize("kind", ["validate", "deploy", "rollback"])
def test_a_running_step_that_was_written_as_a_watch_hangs_nothing(
    target: Target, cast: Cast, fake: FakeRunner, kind: str
) -> None:
    if kind == "validate":
        rollout = factories.make_draft(target, cast["rita"])
        run = actions.submit(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
        engine.advance(run.pk)
    else:
        run = started(target, cast)
    if kind == "rollback":
        drive(run, fake, stop_at="switch")
        fake.fail()
        engine.advance(run.pk)
        run = drive(Run.objects.get(kind="rollback"), fake, stop_at="restore")
    forger.edit(run.steps.get(state="RUNNING"), kind="watch")
    fake.succeed()
    engine.advance(run.pk)
    assert Run.objects.get(pk=run.pk).state == "FAILED"


@pytest.mark.parametrize("outcome", ["BREACHED", "PASSED"])
def test_an_outcome_that_no_look_found_is_a_question_to_people(deploy: Run, fake: FakeRunner, outcome: str) -> None:
    drive(deploy, fake)
    Watch.objects.update(outcome=outcome, state="DECIDED", reason="because")
    engine.advance(deploy.pk)
    assert state(deploy) == ("RUNNING", "WATCHING")
    assert "the audit tells of another outcome" in fresh(deploy.rollout).needs_decision


@pytest.mark.parametrize("edit", [{"surroundings": {}}, {"base_url": "http://127.0.0.1:1"}, {"seal": ""}])
def test_a_watch_that_was_edited_looks_at_nothing_and_asks_people(
    deploy: Run, fake: FakeRunner, edit: dict[str, Any], tmp_path: Any
) -> None:
    drive(deploy, fake)
    watch, mark = Watch.objects.get(), tmp_path / "mark"
    assert watch_seal.holds(watch)
    profile = watch.profile
    profile["sources"][0] |= {"kind": "command", "argv": ["/bin/sh", "-c", f"id > {mark}"], "path": ""}
    Watch.objects.filter(pk=watch.pk).update(**{"profile": profile, **edit})
    watcher.observe_due(later(3700))
    assert not mark.exists() and Watch.objects.get().outcome == "NEEDS_DECISION"
    assert Watch.objects.get().reason == watch_seal.EDITED


def test_a_watch_that_cannot_be_read_blinds_no_other(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    Watch.objects.update(profile={})
    assert watcher.observe_due(later(3700)) == [Watch.objects.get().pk]
    assert watcher.observe_due(later(3761)) == [] and Watch.objects.get().outcome == "NEEDS_DECISION"


def test_a_key_that_was_rotated_still_seals(deploy: Run, fake: FakeRunner, settings: Any) -> None:
    drive(deploy, fake)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 10
    assert watch_seal.holds(Watch.objects.get())


def test_people_are_told_of_what_was_parked(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    fake.succeed()
    forger.edit(deploy.steps.get(kind="switch"), state="SUCCEEDED")
    engine.advance(deploy.pk)
    incident = Incident.objects.get()
    assert incident.severity == "P0" and "the database was edited" in incident.summary
    assert "(attempt 0), not PENDING" in borne.why_not(Run.objects.get(pk=deploy.pk))
    page = browser(User.objects.get(username="olaf")).get(fresh(deploy.rollout).get_absolute_url()).content.decode()
    assert (
        "the database does not say what the audit, or its anchor file, tells" in page
        and "nobody saw how it ended" not in page
    )


@pytest.mark.parametrize("kind", ["deploy", "rollback"])
def test_a_log_that_somebody_reads_stops_no_run(deploy: Run, fake: FakeRunner, cast: Cast, kind: str) -> None:
    run = drive(deploy, fake, stop_at="switch")
    if kind == "rollback":
        fake.fail()
        engine.advance(deploy.pk)
        run = drive(Run.objects.get(kind="rollback"), fake, stop_at="restore")
    reads.log(run.steps.filter(state="SUCCEEDED").first(), by=actor(cast["ann"]), now=NOW)
    drive(run, fake, stop_at="check")
    assert run.steps.get(kind="check").state == "RUNNING"


def test_a_database_that_was_set_back_is_rolled_back_by_people(
    deploy: Run, fake: FakeRunner, cast: Cast, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    Rollout.objects.update(backup=factories.make_backup(target))
    drive(deploy, fake)
    known = anchors.Point(audit.head()[0] + 1, "ab" * 32)
    factories.decide_watches("BREACHED")
    monkeypatch.setattr(anchors, "last", lambda: known)
    assert anchors.refusal()
    engine.advance(deploy.pk)
    rollback = Run.objects.get(kind="rollback")
    drive(rollback, fake)
    assert state(rollback) == ("SUCCEEDED", "ROLLED_BACK")


def test_steps_that_were_written_as_done_end_no_run_of_a_lost_host_well(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    for step in deploy.steps.filter(state__in=["PENDING", "RUNNING"]):
        forger.edit(step, state="SUCCEEDED")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_a_rollback_by_itself_goes_back_to_no_backup_from_before_its_deploy(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    older = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    Rollout.objects.update(backup=older)
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    assert Run.objects.get(kind="rollback").restores == Backup.objects.get(run=deploy) != older


def test_the_watch_of_another_rollout_is_no_outcome(deploy: Run, fake: FakeRunner, cast: Cast) -> None:
    drive(deploy, fake)
    factories.decide_watches("PASSED", "all well")
    watch = Watch.objects.get()
    assert borne.is_outcome(deploy, watch)
    other = Run(rollout=factories.make_draft(deploy.target, cast["rita"], "1.3.0"), kind="deploy")
    assert not borne.is_outcome(other, watch)
