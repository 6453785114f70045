"""What follows when a deploy fails, is rolled back, or its rollback fails."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from monitoring import incidents
from monitoring.audit import SYSTEM
from monitoring.models import Attachment, Incident, Watch
from rollout import actions, commands, engine, journal, opening
from rollout.models import Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
AFTER_RESTORE = ["start", "verify:health", "check"]


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def rollback_of(deploy: Run) -> Run:
    return Run.objects.get(rollout=deploy.rollout, kind="rollback")


def click_roll_back(deploy: Run, user: User, **more: Any) -> Run:
    why = "customers see errors"
    return actions.roll_back(fresh(deploy.rollout), user=user, why=why, by=actor(user), now=NOW, **more)


@pytest.mark.parametrize("step", ["preflight", "backup", "dry_run", "stage"])
def test_a_deploy_that_fails_before_the_first_effect_has_failed(deploy: Run, fake: FakeRunner, step: str) -> None:
    run = drive(deploy, fake, fail_at=step)
    assert (run.state, fresh(run.rollout).state) == ("FAILED", R.FAILED)


def test_a_deploy_that_failed_without_effect_leaves_the_target_unlocked(
    deploy: Run, target: Target, fake: FakeRunner
) -> None:
    drive(deploy, fake, fail_at="stage")
    target.refresh_from_db()
    assert not target.locked


@pytest.mark.parametrize("step", ["migrate", "switch", "check"])
def test_a_deploy_that_fails_after_an_effect_is_rolled_back_by_itself(deploy: Run, fake: FakeRunner, step: str) -> None:
    run = drive(deploy, fake, fail_at=step)
    rollback = rollback_of(run)
    assert (run.state, rollback.state, rollback.automatic) == ("FAILED", "RUNNING", True)


def test_the_steps_after_a_failed_one_are_skipped(deploy: Run, fake: FakeRunner) -> None:
    run = drive(deploy, fake, fail_at="switch")
    states = dict(run.steps.values_list("kind", "state"))
    assert (states["switch"], states["check"], states["watch"]) == ("FAILED", "SKIPPED", "SKIPPED")


def test_a_rollback_stops_saves_restores_proves_and_only_then_starts(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    fake.started.clear()
    drive(rollback_of(deploy), fake)
    assert fake.kinds == ["verify", "stop", "backup", "restore", "verify", "start", "verify", "check"]


def test_a_rollback_that_succeeds_leaves_the_target_locked_with_a_reason(
    deploy: Run, target: Target, fake: FakeRunner
) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake)
    target.refresh_from_db()
    assert fresh(deploy.rollout).state == R.ROLLED_BACK
    assert target.lock_reason.startswith("rolled back from 1.1.0: ")


def test_the_restore_log_is_attached_to_the_incident(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake)
    assert Attachment.objects.filter(name="restore.log", incident=rollback_of(deploy).incident).exists()


def test_what_a_failed_step_printed_is_attached_to_the_incident(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="check")
    (fake.current / "output.log").write_text("smoke test 3 failed\n")
    fake.fail()
    engine.advance(deploy.pk)
    assert Attachment.objects.filter(name="7-check-output.log").exists()


@pytest.mark.parametrize("step", ["verify:backup", "stop", "restore", "verify:restored"])
def test_a_rollback_that_fails_before_the_proof_has_not_restored(deploy: Run, fake: FakeRunner, step: str) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake, fail_at=step)
    assert fresh(deploy.rollout).state == R.NOT_RESTORED


@pytest.mark.parametrize("step", AFTER_RESTORE)
def test_a_rollback_that_fails_after_the_proof_is_restored_but_not_well(
    deploy: Run, fake: FakeRunner, step: str
) -> None:
    drive(deploy, fake, fail_at="migrate")
    drive(rollback_of(deploy), fake, fail_at=step)
    assert fresh(deploy.rollout).state == R.ROLLED_BACK_UNHEALTHY


def test_a_failed_rollback_raises_the_incident_to_p0(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake, fail_at="restore")
    assert Incident.objects.get().severity == "P0"


def test_a_failed_rollback_opens_another_incident_when_the_first_was_closed(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    incidents.close(Incident.objects.get(), resolution="thought to be over", by=SYSTEM, now=NOW)
    drive(rollback_of(deploy), fake, fail_at="restore")
    assert Incident.objects.filter(severity="P0", state="OPEN").count() == 1


def test_a_failed_rollback_can_be_asked_for_again(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake, fail_at="restore")
    again = click_roll_back(deploy, cast["tom"])
    drive(again, fake)
    assert fresh(deploy.rollout).state == R.ROLLED_BACK


def test_a_breach_rolls_back_by_itself_once(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    engine.advance(deploy.pk)
    rollout = fresh(deploy.rollout)
    assert (rollout.state, rollout.automatic_rollback_used) == (R.ROLLING_BACK, True)


def test_a_breach_after_the_automatic_rollback_was_used_asks_a_person(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    journal.withhold_rollback(deploy.rollout, why="another release may be live by now", now=NOW)
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    engine.advance(deploy.pk)
    rollout = fresh(deploy.rollout)
    assert (rollout.state, rollout.needs_decision) == (R.WATCHING, "p95 above 2000 ms")


def test_rolling_back_during_the_watch_closes_the_watch(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake)
    click_roll_back(deploy, cast["tom"])
    assert Watch.objects.get().state == "CLOSED"


def test_a_clicked_rollback_has_an_incident_for_its_logs(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake)
    assert click_roll_back(deploy, cast["tom"]).incident == Incident.objects.get()


def test_rolling_back_cancels_the_command_that_still_runs(
    deploy: Run, cast: dict, fake: FakeRunner, django_capture_on_commit_callbacks: Any
) -> None:
    drive(deploy, fake, stop_at="switch")
    folder = fake.current
    with django_capture_on_commit_callbacks(execute=True):
        click_roll_back(deploy, cast["tom"])
    assert folder in fake.cancelled


def test_a_rollback_waits_until_the_cancelled_command_has_ended(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    rollback = click_roll_back(deploy, cast["tom"])
    before = len(fake.started)
    engine.advance(rollback.pk)
    assert len(fake.started) == before
    fake.release()
    engine.advance(rollback.pk)
    assert fake.kinds[before:] == ["verify"]


def test_the_late_end_of_a_cancelled_command_is_recorded_nowhere(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    rollback = click_roll_back(deploy, cast["tom"])
    fake.succeed()
    engine.advance(deploy.pk)
    engine.advance(rollback.pk)
    assert deploy.steps.get(kind="switch").state == "FAILED"
    assert rollback.steps.get(number=1).state == "RUNNING"


def test_the_reason_of_a_rollback_stays_when_it_fails(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake)
    rollback = drive(click_roll_back(deploy, cast["tom"]), fake, fail_at="stop")
    assert rollback.reason == "customers see errors"


def test_a_rollback_by_a_person_goes_by_the_configuration_in_force(
    deploy: Run, cast: dict, fake: FakeRunner, tmp_path: Path
) -> None:
    drive(deploy, fake)
    rollback = click_roll_back(deploy, cast["tom"])
    factories.load(factories.write_component(tmp_path / "dhash", text=factories.TOML.replace("8103", "8203")))
    assert commands.spec_of(Run.objects.get(pk=rollback.pk)).port == 8203


def test_an_automatic_rollback_goes_by_what_was_signed(deploy: Run, fake: FakeRunner, tmp_path: Path) -> None:
    drive(deploy, fake, fail_at="check")
    factories.load(factories.write_component(tmp_path / "dhash", text=factories.TOML.replace("8103", "8203")))
    assert commands.spec_of(rollback_of(deploy)).port == 8103


def test_a_validate_run_that_holds_the_target_refuses_the_rollback(
    deploy: Run, target: Target, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake)
    factories.decide_watches("PASSED", "well")
    engine.advance(deploy.pk)
    rita = cast["rita"]
    other = actions.submit(factories.make_draft(target, rita, "1.2.0"), user=rita, by=actor(rita), now=NOW)
    engine.advance(other.pk)
    with pytest.raises(actions.Refused, match="Another run holds"):
        click_roll_back(deploy, cast["tom"])


def succeeded(target: Target, cast: dict, version: str, started: float) -> Any:
    rollout = factories.make_draft(target, cast["rita"], version)
    rollout = factories.put_in(rollout, R.SUCCEEDED, started_at=factories.later(started))
    run = opening.deploy_run(rollout, user=cast["olaf"], via="browser", now=NOW)
    run.steps.filter(effect=True).update(attempt=1)
    Run.objects.filter(pk=run.pk).update(state="SUCCEEDED")
    return rollout


def test_only_the_newest_change_of_a_target_can_be_rolled_back(
    deploy: Run, target: Target, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake)
    factories.decide_watches("PASSED", "well")
    engine.advance(deploy.pk)
    newer = factories.begun(succeeded(target, cast, "1.2.0", 10**9))
    with pytest.raises(actions.Refused, match=f"Rollout {newer.pk} .1.2.0. changed"):
        click_roll_back(deploy, cast["tom"])


def test_a_newer_change_that_was_rolled_back_does_not_stand_in_the_way(
    deploy: Run, target: Target, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake)
    factories.decide_watches("PASSED", "well")
    engine.advance(deploy.pk)
    factories.begun(succeeded(target, cast, "1.2.0", 10**9), "ROLLED_BACK")
    assert click_roll_back(deploy, cast["tom"]).state == "RUNNING"


def test_a_second_rollback_goes_on_with_the_incident_that_is_open(
    deploy: Run, fake: FakeRunner, cast: dict[str, User]
) -> None:
    drive(deploy, fake, fail_at="check")
    drive(rollback_of(deploy), fake, fail_at="restore")
    again = click_roll_back(deploy, cast["tom"])
    assert Incident.objects.count() == 1
    assert again.incident.entries.filter(text__startswith="Rolling back again, by tom").exists()


def test_a_lost_undo_copy_does_not_stop_the_restore(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    rollback = drive(rollback_of(deploy), fake, fail_at="backup")
    assert (rollback.state, fresh(rollback.rollout).state) == ("SUCCEEDED", R.ROLLED_BACK)
