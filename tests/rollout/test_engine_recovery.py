"""What the engine makes of work that was lost: a killed worker, a lost runner, an outcome that cannot be read."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from monitoring import audit
from monitoring.audit import SYSTEM
from monitoring.models import Incident
from rollout import actions, commands, engine, recovering
from rollout.intent import Outcome
from rollout.models import Run, Step, Target
from rollout.states import RolloutState as R
from rollout.transitions import subject_of
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


@pytest.fixture
def validate(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a validate run that has not begun."""
    rita = cast["rita"]
    return actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)


def first(run: Run) -> Step:
    return run.steps.get(number=1)


def die_before_the_start(run: Run, fake: FakeRunner) -> None:
    """Let the worker die between the claim of the step and the start of its command."""
    fake.refuse_start = True
    with pytest.raises(OSError, match="no process"):
        engine.advance(run.pk)
    fake.refuse_start = False


def make_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "driver_of", lambda run: SimpleNamespace(recovery="opaque"))


def test_a_claimed_step_is_left_alone_while_its_worker_holds_the_lock(validate: Run, fake: FakeRunner) -> None:
    die_before_the_start(validate, fake)
    fake.held_by_others.add(commands.lock_path(validate.target))
    engine.advance(validate.pk)
    assert first(validate).state == "RUNNING"


def test_a_step_whose_worker_died_before_the_start_is_started_after_all(validate: Run, fake: FakeRunner) -> None:
    die_before_the_start(validate, fake)
    engine.advance(validate.pk)
    engine.advance(validate.pk)
    assert (first(validate).state, first(validate).attempt, len(fake.started)) == ("RUNNING", 2, 1)


def test_a_command_that_outlives_its_worker_is_adopted_not_started_again(validate: Run, fake: FakeRunner) -> None:
    engine.advance(validate.pk)
    fake.age = 600
    engine.advance(validate.pk)
    assert (first(validate).state, len(fake.started)) == ("RUNNING", 1)


def test_a_runner_that_was_stopped_does_not_keep_a_step_running_for_ever(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    fake.age = 120 + engine.OVERDUE_S + engine.STOPPED_S + 1
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.UNKNOWN


def test_a_lost_step_that_can_be_repeated_is_repeated(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert fake.kinds[-2:] == ["switch", "switch"]


def test_a_step_whose_runner_is_lost_again_and_again_has_failed(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    for _ in range(recovering.MAX_ATTEMPTS):
        fake.lose()
        engine.advance(deploy.pk)
        engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.ROLLING_BACK


def test_a_validate_run_whose_runner_is_lost_again_and_again_returns_to_draft(validate: Run, fake: FakeRunner) -> None:
    engine.advance(validate.pk)
    for _ in range(recovering.MAX_ATTEMPTS):
        fake.lose()
        engine.advance(validate.pk)
        engine.advance(validate.pk)
    assert fresh(validate.rollout).state == R.DRAFT


def test_a_lost_effect_of_an_opaque_driver_is_unknown_and_never_repeated(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_opaque(monkeypatch)
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    for _ in range(3):
        engine.advance(deploy.pk)
    assert fake.kinds.count("switch") == 1
    assert fresh(deploy.rollout).state == R.UNKNOWN


def test_an_unknown_outcome_is_a_p0_incident(deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    make_opaque(monkeypatch)
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    assert Incident.objects.get().severity == "P0"


def test_a_person_ends_an_unknown_outcome_by_rolling_back(
    deploy: Run, cast: dict, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_opaque(monkeypatch)
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    tom = cast["tom"]
    rollback = actions.roll_back(fresh(deploy.rollout), user=tom, why="not sure", by=actor(tom), now=NOW)
    deploy.refresh_from_db()
    assert (deploy.state, rollback.state) == ("FAILED", "RUNNING")
    assert not deploy.steps.filter(state__in=["UNKNOWN", "PENDING"]).exists()


def test_a_lock_held_long_after_the_time_out_without_a_runner_is_unknown(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    fake.orphan()
    fake.age = 120 + engine.OVERDUE_S + 1
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.UNKNOWN


def test_who_holds_the_lock_for_a_moment_is_looked_at_again(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    fake.orphan()  # as another worker does who is about to ask the target
    fake.age = 120 + engine.OVERDUE_S + 1
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.RUNNING


def test_a_lock_held_long_after_the_time_out_of_a_harmless_step_fails_it(validate: Run, fake: FakeRunner) -> None:
    engine.advance(validate.pk)
    fake.orphan()
    fake.age = 60 + engine.OVERDUE_S + 1
    engine.advance(validate.pk)
    engine.advance(validate.pk)
    assert fresh(validate.rollout).state == R.DRAFT


ENDS = {
    "exit code 0 without an outcome": (None, {"code": 0}, "left no outcome"),
    "exit code 1 without an outcome": (None, {"code": 1}, "ended with exit code 1"),
    "an outcome that says ok, with exit code 1": (Outcome(result="ok", sentence="fine"), {"code": 1}, "fine"),
    "a time-out": (None, {"code": -9, "timed_out": True}, "ended after its time-out"),
    "too much output": (None, {"code": -15, "truncated": True}, "printed too much"),
    "a command that is not there": (None, {"code": 127, "error": "No such file"}, "No such file"),
}


@pytest.mark.parametrize("case", sorted(ENDS))
def test_a_command_that_ended_badly_has_failed(validate: Run, fake: FakeRunner, case: str) -> None:
    outcome, ended, words = ENDS[case]
    engine.advance(validate.pk)
    fake.finish(outcome, **ended)
    engine.advance(validate.pk)
    assert first(validate).state == "FAILED"
    assert words in first(validate).outcome["sentence"]


@pytest.mark.parametrize("text", ["{", "[]", '{"result": "ok"}', '{"result": "ok", "sentence": "x", "more": 1}'])
def test_an_outcome_that_cannot_be_read_is_a_failure(validate: Run, fake: FakeRunner, text: str) -> None:
    engine.advance(validate.pk)
    (fake.current / "outcome.json").write_text(text)
    fake.finish(None, code=0)
    engine.advance(validate.pk)
    assert first(validate).state == "FAILED"


UNKEPT = {
    "no facts": Outcome(result="ok", sentence="a backup"),
    "evidence that is not there": Outcome(result="ok", sentence="x", evidence={"golden": "gone.log"}),
}


@pytest.mark.parametrize("case", sorted(UNKEPT))
def test_an_outcome_that_cannot_be_kept_is_a_failure(validate: Run, fake: FakeRunner, case: str) -> None:
    drive(validate, fake, stop_at="backup")
    fake.finish(UNKEPT[case], code=0)
    engine.advance(validate.pk)
    step = validate.steps.get(kind="backup")
    assert (step.state, fresh(validate.rollout).state) == ("FAILED", R.DRAFT)


def test_evidence_that_is_empty_is_a_failure(validate: Run, fake: FakeRunner) -> None:
    engine.advance(validate.pk)
    (fake.current / "empty.log").touch()
    fake.finish(Outcome(result="ok", sentence="x", evidence={"golden": "empty.log"}))
    engine.advance(validate.pk)
    assert "The file is empty" in first(validate).outcome["sentence"]


def test_a_swapped_manifest_stops_the_deploy(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="stage")
    rollout = fresh(deploy.rollout)
    factories.put_in(rollout, rollout.state, manifest=rollout.manifest.replace("1.1.0", "6.6.6"))
    fake.succeed()
    engine.advance(deploy.pk)
    assert fresh(rollout).state == R.FAILED


def test_a_deploy_goes_by_the_configuration_that_was_signed(deploy: Run, fake: FakeRunner, tmp_path: Path) -> None:
    drive(deploy, fake, stop_at="stage")
    factories.load(factories.write_component(tmp_path / "dhash", text=factories.TOML.replace("8103", "8203")))
    assert commands.spec_of(Run.objects.get(pk=deploy.pk)).port == 8103


def test_what_an_older_database_left_is_not_taken_for_an_outcome(validate: Run, fake: FakeRunner) -> None:
    step = validate.steps.get(number=1)
    old = Path(settings.GR_RUN_DIR) / "steps" / step.folder_of_attempt(1)
    old.mkdir(parents=True)
    (old / "outcome.json").write_text('{"result": "ok", "sentence": "of another life"}')
    engine.advance(validate.pk)
    assert not (old / "outcome.json").exists()
    assert (old / "intent.json").exists()


def test_nothing_begins_while_the_clock_stands_before_the_audit(deploy: Run, fake: FakeRunner) -> None:
    with transaction.atomic():
        ahead = timezone.now() + timedelta(minutes=5)
        audit.append(action="host.seen", by=SYSTEM, subject=subject_of(deploy), now=ahead)
    engine.advance(deploy.pk)
    assert (Run.objects.get(pk=deploy.pk).state, fresh(deploy.rollout).state) == ("QUEUED", R.QUEUED)
    assert "the clock was set back" in fresh(deploy.rollout).state_why


def test_what_waited_for_the_clock_begins_when_it_is_right(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: NOW - timedelta(hours=2))
    engine.advance(deploy.pk)
    assert Run.objects.get(pk=deploy.pk).state == "QUEUED"
    monkeypatch.setattr(timezone, "now", lambda: right)
    engine.advance(deploy.pk)
    assert (Run.objects.get(pk=deploy.pk).state, fresh(deploy.rollout).state_why) == ("RUNNING", "")


@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(hours=1)])
def test_a_clock_that_jumps_neither_blocks_nor_parks_a_run(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    drive(deploy, fake, stop_at="migrate")
    now = timezone.now() + jump
    monkeypatch.setattr(timezone, "now", lambda: now)
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="migrate").state == "RUNNING"
    fake.succeed()
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="switch").attempt == 2
