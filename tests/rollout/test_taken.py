"""What a run does is what was compared with the audit: target, backup and steps; nobody writes them meanwhile."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection, models

from monitoring import anchors, audit, canonical
from monitoring.models import AuditEntry, AuditHead
from rollout import actions, after_restore, borne, engine, locking, opened, opening
from rollout.models import Backup, Run, Target
from rollout.transitions import ConflictError
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.monitoring.signed import notary
from tests.rollout.test_edited_rows import started, state

pytestmark = pytest.mark.django_db


@pytest.fixture
def staging(target: Target) -> Target:
    return Target.objects.exclude(pk=target.pk).get()


@pytest.fixture
def anchored(tmp_path: Path, settings: LazySettings) -> None:
    settings.GR_ANCHOR_FILE, settings.GR_AUDIT_KEY_FILE = tmp_path / "anchors", tmp_path / "keys" / "a.pem"


def test_a_command_is_not_given_up_by_the_lock_of_another_target(
    target: Target, staging: Target, cast: dict, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy, target_id=staging.pk)
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert fake.kinds.count("migrate") == 1 and state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_a_queued_run_does_not_pass_the_lock_of_its_target_by(
    target: Target, staging: Target, cast: dict, fake: FakeRunner
) -> None:
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    locking.lock(target, user=cast["olaf"], why="nobody touches it now", by=actor(cast["olaf"]), now=NOW)
    forger.edit(run, target_id=staging.pk)
    engine.advance(run.pk)
    assert fake.started == [] and fresh(rollout).state == "DRAFT"


def test_a_rollback_of_one_target_stops_no_other(target: Target, staging: Target, cast: dict, fake: FakeRunner) -> None:
    deploy = drive(started(staging, cast), fake, stop_at="check")
    fake.succeed()
    engine.advance(deploy.pk)
    roll_back(deploy, cast)
    rollback = drive(Run.objects.get(kind="rollback"), fake, stop_at="verify")
    fake.succeed()
    forger.edit(rollback, target_id=target.pk)
    engine.advance(rollback.pk)
    assert "stop" not in fake.kinds and not fake.running


def abort(deploy: Run, cast: dict) -> None:
    rollout = fresh(deploy.rollout)
    actions.abort(rollout, user=cast["olaf"], why="looks wrong to me", by=actor(cast["olaf"]), now=NOW)
    engine.advance(deploy.pk)


def roll_back(deploy: Run, cast: dict) -> None:
    rollout = fresh(deploy.rollout)
    actions.roll_back(rollout, user=cast["olaf"], why="looks wrong to me", by=actor(cast["olaf"]), now=NOW)


def breach(deploy: Run, cast: dict) -> None:
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    forger.edit(Run.objects.get(kind="rollback"), automatic=False)


@pytest.mark.parametrize("how", [abort, roll_back, breach])
def test_an_older_backup_is_restored_only_where_a_person_named_it(
    target: Target, cast: dict, fake: FakeRunner, how: Callable[[Run, dict], None]
) -> None:
    older = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    forger.edit(fresh(deploy.rollout), backup_id=older.pk)
    how(deploy, cast)
    rollback = drive(Run.objects.get(kind="rollback"), fake)
    ends = "NOT_RESTORED" if how is breach else "ROLLED_BACK"  # its row was edited
    assert (rollback.restores != older, state(rollback)[1]) == (True, ends)


def test_a_rollback_that_was_opened_without_a_backup_restores_none(
    target: Target, cast: dict, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    rollout = fresh(deploy.rollout)
    monkeypatch.setattr(opening, "backup_of", lambda rollout: None)
    run = opening.rollback_run(rollout, user=cast["olaf"], why="x", by=actor(cast["olaf"]), automatic=False, now=NOW)
    forger.edit(run, restores_id=backup.pk)
    begun = len(fake.started)
    drive(Run.objects.get(pk=run.pk), fake)
    assert fake.kinds[begun:] == [] and "another backup" in fresh(rollout).state_why


def test_an_older_backup_that_a_person_named_is_restored(target: Target, cast: dict, fake: FakeRunner) -> None:
    older = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    who = {"user": cast["olaf"], "by": actor(cast["olaf"])}
    actions.roll_back(fresh(deploy.rollout), why="the newer one is broken", backup=older, now=NOW, **who)
    assert state(drive(Run.objects.get(kind="rollback"), fake))[1] == "ROLLED_BACK"


@pytest.mark.usefixtures("anchored")
@pytest.mark.parametrize("kind", ["validate", "deploy"])
def test_a_history_that_was_rewritten_against_the_anchor_file_takes_no_run_further(
    target: Target, cast: dict, fake: FakeRunner, kind: str
) -> None:
    run = drive(OPENED[kind](target, cast), fake, stop_at={"validate": "scan", "deploy": "stage"}[kind])
    notary().look(NOW)
    step = run.steps.filter(state="PENDING").order_by("number").first()
    assert step is not None
    forger.edit(step, timeout_s=999_999)
    rewrite(AuditEntry.objects.get(action=f"run.{kind}.opened").seq, run)
    assert anchors.refusal()
    begun = len(fake.started)
    fake.succeed()
    engine.advance(run.pk)
    assert len(fake.started) == begun


def submitted(target: Target, cast: dict) -> Run:
    rollout = factories.make_draft(target, cast["rita"])
    return actions.submit(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)


OPENED: dict[str, Callable[[Target, dict], Run]] = {"validate": submitted, "deploy": started}


def rewrite(first: int, run: Run) -> None:
    """Write every entry from the one that opened a run anew, by the rules, with its steps as they stand now."""
    digest = opened.facts(Run.objects.get(pk=run.pk))["steps_sha256"]
    prev = AuditEntry.objects.get(seq=first - 1).hash
    for entry in AuditEntry.objects.filter(seq__gte=first).order_by("seq"):
        told = {**json.loads(entry.body), "prev": prev}
        if entry.seq == first:
            told["data"]["steps_sha256"] = digest
        body = canonical.dumps(told)
        sealed = hashlib.sha256(body.encode()).hexdigest()
        forger.edit(entry, body=body, prev=prev, hash=sealed)
        prev = sealed
    forger.edit(AuditHead.objects.get(), hash=prev)


def test_a_restored_copy_ends_no_run_well_of_which_the_audit_tells_otherwise(
    target: Target, cast: dict, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    for step in deploy.steps.filter(state__in=["PENDING", "RUNNING"]):
        forger.edit(step, state="SUCCEEDED")
    forger.edit(fresh(deploy.rollout), state="WATCHING")
    after_restore._stop(Run.objects.with_places().get(pk=deploy.pk), why="restored", now=NOW)
    assert state(deploy)[0] == "UNKNOWN"


def test_who_read_a_run_that_moved_since_does_nothing_with_it(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = drive(started(target, cast), fake, stop_at="stage")
    seen = Run.objects.get(pk=run.pk)
    Run.objects.filter(pk=run.pk).update(version=models.F("version") + 1)
    with audit.turn(), pytest.raises(ConflictError, match="moved since"):
        borne.take(seen, None)


ROWS: dict[str, Callable[[Run], models.Model]] = {
    "run": lambda run: run,
    "step": lambda run: run.steps.get(number=1),
    "rollout": lambda run: run.rollout,
    "configuration": lambda run: run.target.component.live,
    "backup": lambda run: Backup.objects.get(pk=run.restores_id),
}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ROWS)
def test_nobody_writes_what_a_run_goes_by_before_its_turn_ends(
    target: Target, cast: dict, fake: FakeRunner, name: str
) -> None:
    deploy = drive(started(target, cast), fake)
    roll_back(deploy, cast)
    run = Run.objects.with_places().get(kind="rollback")
    row = ROWS[name](run)
    with audit.turn():
        borne.take(run, run.steps.get(number=1))
        assert not may_write(row)
    assert may_write(row)


def may_write(row: models.Model) -> bool:
    """Say whether another connection can write a row within 0.2 seconds."""
    import psycopg

    known = connection.get_connection_params()
    place = {name: known[name] for name in ("dbname", "user", "password", "host", "port") if name in known}
    with psycopg.connect(**place, options="-c lock_timeout=200") as other:
        try:
            other.execute(f'UPDATE "{row._meta.db_table}" SET id = id WHERE id = %s', [row.pk])
        except psycopg.errors.LockNotAvailable:
            return False
        finally:
            other.rollback()
    return True
