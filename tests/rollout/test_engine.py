"""The engine carries a rollout from validation to success, step by step."""

import pytest
from django.contrib.auth.models import User

from monitoring.models import AuditEntry, Watch
from rollout import actions, engine, standing
from rollout.models import Backup, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


def validating(target: Target, cast: dict[str, User]) -> Run:
    rita = cast["rita"]
    return actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)


def started(target: Target, cast: dict[str, User]) -> Run:
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def test_a_validate_run_proves_the_plan_and_opens_the_sign_off(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = drive(validating(target, cast), fake)
    assert (run.state, run.rollout.state) == ("SUCCEEDED", R.WAITING)


def test_a_validate_run_takes_the_steps_in_the_order_of_the_plan(target: Target, cast: dict, fake: FakeRunner) -> None:
    drive(validating(target, cast), fake)
    assert fake.kinds == ["preflight", "scan", "backup", "rehearse", "dry_run", "dry_run", "check", "check"]


def test_a_rehearsed_backup_is_marked_so(target: Target, cast: dict, fake: FakeRunner) -> None:
    drive(validating(target, cast), fake)
    assert Backup.objects.get().rehearsal_s == 1.5


@pytest.mark.parametrize("step", ["preflight", "scan", "backup", "rehearse", "dry_run:migrate", "check"])
def test_a_validate_run_that_fails_returns_to_draft(target: Target, cast: dict, fake: FakeRunner, step: str) -> None:
    run = drive(validating(target, cast), fake, fail_at=step)
    assert (run.state, fresh(run.rollout).state) == ("FAILED", R.DRAFT)


def test_a_deploy_ends_in_a_watch(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = drive(started(target, cast), fake)
    assert (run.state, fresh(run.rollout).state) == ("RUNNING", R.WATCHING)
    assert Watch.objects.get().base_url == "http://127.0.0.1:8103"


def test_a_deploy_migrates_before_it_switches(target: Target, cast: dict, fake: FakeRunner) -> None:
    drive(started(target, cast), fake)
    assert fake.kinds == ["preflight", "backup", "dry_run", "stage", "migrate", "switch", "check"]


def test_the_switched_version_is_live(target: Target, cast: dict, fake: FakeRunner) -> None:
    drive(started(target, cast), fake)
    target.refresh_from_db()
    assert target.live_version == "1.1.0"


def test_a_watch_that_passed_ends_in_success(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = drive(started(target, cast), fake)
    factories.decide_watches("PASSED", "all well")
    engine.advance(run.pk)
    assert fresh(run.rollout).state == R.SUCCEEDED


def test_advancing_an_ended_run_changes_nothing(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = drive(validating(target, cast), fake)
    before = AuditEntry.objects.count()
    engine.advance(run.pk)
    assert AuditEntry.objects.count() == before


def test_a_running_step_is_started_once_however_often_it_is_advanced(
    target: Target, cast: dict, fake: FakeRunner
) -> None:
    run = validating(target, cast)
    for _ in range(5):
        engine.advance(run.pk)
    assert len(fake.started) == 1


def test_a_step_waits_while_another_process_holds_the_target(target: Target, cast: dict, fake: FakeRunner) -> None:
    from rollout import commands

    run = validating(target, cast)
    path = commands.lock_path(target)
    fake.held_by_others.add(path)
    engine.advance(run.pk)
    assert not fake.started
    fake.held_by_others.clear()
    engine.advance(run.pk)
    assert len(fake.started) == 1


def test_a_run_is_not_over_while_another_worker_has_just_claimed_its_last_step(
    target: Target, cast: dict, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(target, cast)
    drive(run, fake, stop_at="check")
    fake.succeed()
    is_to_abort, other = standing.is_to_abort, iter([True])

    def asked_a_little_later(mine: Run) -> bool:
        said = is_to_abort(mine)
        if next(other, False):
            engine.advance(run.pk)
        return said

    monkeypatch.setattr(standing, "is_to_abort", asked_a_little_later)
    engine.advance(run.pk)
    run.refresh_from_db()
    assert (run.state, fresh(run.rollout).state) == ("RUNNING", R.WATCHING)
