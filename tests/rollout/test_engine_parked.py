"""What a target is asked, what it refuses, and what becomes of a run whose host is gone."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from monitoring.models import Incident
from rollout import actions, commands, deciding, engine, epochs, losing, probing, recovering, runner
from rollout.drivers import Answer, DriverError, fence
from rollout.intent import STALE, Outcome
from rollout.models import Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
LIVE = "releases/0002-1.1.0"


class Driver:
    """A driver whose answer a test chooses."""

    def __init__(self, recovery: str) -> None:
        self.recovery, self.answer = recovery, Answer("unknown", LIVE, "nobody can tell")
        self.error: Exception | None = None

    def probe(self, target: object, step_kind: str, params: object) -> Answer:
        """Answer, or break."""
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Return the driver of every run, a probeable one."""
    made = Driver("probeable")
    monkeypatch.setattr(commands, "driver_of", lambda run: made)
    return made


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def lose(run: Run, fake: FakeRunner, kind: str = "switch") -> None:
    """Let the runner of a step vanish, and let the engine send a probe."""
    drive(run, fake, stop_at=kind)
    fake.lose()
    engine.advance(run.pk)
    assert fake.current.name == "probe1"


def answer(fake: FakeRunner, what: str) -> None:
    fake.finish(Outcome(result="ok", sentence=f"the disk says {what}", facts={"answer": what, "live": LIVE}))


def test_what_the_target_says_was_done_is_done(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    answer(fake, "done")
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="switch").state == "SUCCEEDED"
    assert Target.objects.get(pk=deploy.target_id).live_version == "1.1.0"
    assert Run.objects.get(pk=deploy.pk).state == "RUNNING"


def test_what_the_target_says_was_not_done_is_started_again(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    answer(fake, "not_done")
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="switch").attempt == 2
    assert fake.current.name.endswith("try2")


def test_what_the_target_cannot_say_is_unknown(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    answer(fake, "unknown")
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.UNKNOWN
    assert "the disk says unknown" in fresh(deploy.rollout).state_why


def test_a_probe_whose_runner_is_lost_is_sent_again_but_not_for_ever(
    deploy: Run, fake: FakeRunner, driver: Driver
) -> None:
    lose(deploy, fake)
    for _ in range(recovering.MAX_PROBES):
        fake.lose()
        engine.advance(deploy.pk)
    assert [folder.name for folder in fake.started[-3:]] == ["probe1", "probe2", "probe3"]
    assert fresh(deploy.rollout).state == R.UNKNOWN


def test_nothing_is_unknown_while_the_last_probe_is_under_way(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    for _ in range(recovering.MAX_PROBES - 1):
        fake.lose()
        engine.advance(deploy.pk)
    with pytest.raises(runner.BusyError):  # a worker that had seen the lock free, before another one sent that probe
        recovering.recover(deploy, deploy.steps.get(kind="switch"), started=True, now=NOW)
    assert deploy.steps.get(kind="switch").state == "RUNNING"


def test_an_answer_stands_though_the_runner_of_its_probe_was_lost(
    deploy: Run, fake: FakeRunner, driver: Driver
) -> None:
    lose(deploy, fake)
    Outcome(result="ok", sentence="it is there", facts={"answer": "done", "live": LIVE}).write(fake.current)
    fake.lose()
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="switch").state == "SUCCEEDED"


def test_a_probe_that_broke_is_no_answer_though_its_runner_was_lost(
    deploy: Run, fake: FakeRunner, driver: Driver
) -> None:
    lose(deploy, fake)
    Outcome(result="errored", sentence="no route to host").write(fake.current)
    fake.lose()
    engine.advance(deploy.pk)
    assert fake.current.name == "probe2"


def test_a_probe_that_broke_is_no_answer(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    fake.finish(Outcome(result="errored", sentence="no route to host"))
    engine.advance(deploy.pk)
    assert fake.current.name == "probe2"


def test_a_probe_is_waited_for(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    engine.advance(deploy.pk)
    assert len([folder for folder in fake.started if folder.name.startswith("probe")]) == 1


def test_an_abort_lets_the_probe_answer_and_then_undoes_what_was_done(
    deploy: Run, cast: dict, fake: FakeRunner, driver: Driver
) -> None:
    lose(deploy, fake)
    tom = cast["tom"]
    actions.abort(fresh(deploy.rollout), user=tom, why="wrong release", by=actor(tom), now=NOW)
    engine.advance(deploy.pk)
    assert not fake.cancelled
    answer(fake, "done")
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.ROLLING_BACK


def test_a_probe_has_a_time_of_its_own(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    lose(deploy, fake)
    fake.age = 120 + engine.OVERDUE_S + 1
    engine.advance(deploy.pk)
    assert deploy.steps.get(kind="switch").state == "RUNNING"


def test_a_probe_that_a_worker_never_came_to_start_is_given_up(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    assert recovering.at_work(deploy.steps.get(kind="switch"))[0].name == "probe1"
    assert (fake.current / runner.CLAIMED).exists()  # so its age is known, though nobody started it


def test_a_step_without_effect_is_repeated_unasked(deploy: Run, fake: FakeRunner, driver: Driver) -> None:
    drive(deploy, fake, stop_at="stage")
    fake.lose()
    engine.advance(deploy.pk)
    engine.advance(deploy.pk)
    assert fake.kinds[-2:] == ["stage", "stage"]


def test_what_was_never_started_three_times_changed_nothing(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(deploy, fake, stop_at="stage")
    fake.succeed()
    fake.refuse_start = True
    for _ in range(recovering.MAX_ATTEMPTS):
        with pytest.raises(OSError, match="no process"):
            engine.advance(deploy.pk)
        engine.advance(deploy.pk)
    assert deploy.steps.get(kind="migrate").attempt == 3
    assert fresh(deploy.rollout).state == R.FAILED


def test_a_first_effect_that_was_not_allowed_to_begin_leaves_nothing_to_undo(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    fake.finish(Outcome(result="failed", sentence="the archive's bytes changed", facts={"untouched": True}))
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.FAILED


def test_a_claim_whose_folder_was_lost_counts_as_started(
    deploy: Run, fake: FakeRunner, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.recovery = "opaque"
    drive(deploy, fake, stop_at="migrate")
    (fake.current / "intent.json").unlink()
    fake.started.remove(fake.current)
    fake.lose()
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.UNKNOWN


def refuse_as_stale(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    root = Target.objects.get(pk=deploy.target_id).spec.root_path
    fence.enter(root, epoch=40, run="run9@another life", token="run9-step5-try1")
    fake.finish(Outcome(result=STALE, sentence="the target has seen epoch 40"))
    engine.advance(deploy.pk)


def test_a_step_that_the_target_refused_is_unknown(deploy: Run, fake: FakeRunner) -> None:
    refuse_as_stale(deploy, fake)
    assert (fresh(deploy.rollout).state, Incident.objects.get().severity) == (R.UNKNOWN, "P0")


def test_what_people_decide_goes_on_above_what_the_target_has_seen(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    refuse_as_stale(deploy, fake)
    for name in ("tom", "olaf"):
        why = "I looked: it was never migrated"
        deciding.try_again(fresh(deploy.rollout), user=cast[name], why=why, by=actor(cast[name]), now=NOW)
    deploy.refresh_from_db()
    assert deploy.epoch == 41


def test_a_rollback_out_of_an_unknown_goes_above_it_too(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    refuse_as_stale(deploy, fake)
    tom = cast["tom"]
    run = actions.roll_back(fresh(deploy.rollout), user=tom, why="not sure", by=actor(tom), now=NOW)
    assert run.epoch == 41


def test_an_epoch_is_lifted_to_what_the_target_has_seen(target: Target) -> None:
    fence.enter(target.spec.root_path, epoch=12, run="run3@x", token="run3-step5-try1")
    assert epochs.lift_epoch(target) == 12
    assert epochs.next_epoch(target) == 13


@pytest.fixture
def unknown(deploy: Run, fake: FakeRunner, driver: Driver) -> Run:
    """Return a run whose switch nobody saw end."""
    driver.recovery = "opaque"
    drive(deploy, fake, stop_at="switch")
    fake.lose()
    engine.advance(deploy.pk)
    return Run.objects.get(pk=deploy.pk)


def test_what_the_target_says_of_an_unknown_run_is_kept(unknown: Run) -> None:
    probing.look(unknown.pk, NOW)
    unknown.refresh_from_db()
    kept = {"held": False, "answer": "unknown", "live": LIVE, "sentence": "nobody can tell", "epoch": 0}
    assert (unknown.probe, unknown.probed_at) == (kept, NOW)


def test_a_lock_that_is_held_is_said(unknown: Run, fake: FakeRunner) -> None:
    fake.held_by_others.add(commands.lock_path(unknown.target))
    probing.look(unknown.pk, NOW)
    unknown.refresh_from_db()
    assert unknown.probe["held"] is True
    assert unknown.probe["sentence"].startswith("a command still holds the target")


@pytest.mark.parametrize("error", [DriverError("gone"), OSError("no route")])
def test_a_target_that_cannot_be_asked_is_unknown(unknown: Run, driver: Driver, error: Exception) -> None:
    driver.error = error
    probing.look(unknown.pk, NOW)
    unknown.refresh_from_db()
    assert unknown.probe["answer"] == "unknown"
    assert "could not be asked" in unknown.probe["sentence"]


def test_only_the_host_of_a_run_looks_at_its_target(unknown: Run, settings: LazySettings) -> None:
    settings.GR_HOST_ID = "elsewhere"
    probing.look(unknown.pk, NOW)
    unknown.refresh_from_db()
    assert unknown.probed_at is None


def test_a_run_of_another_host_is_left_alone(deploy: Run, fake: FakeRunner, settings: LazySettings) -> None:
    settings.GR_HOST_ID = "elsewhere"
    engine.advance(deploy.pk)
    assert Run.objects.get(pk=deploy.pk).state == "QUEUED"


def host_lost(run: Run) -> None:
    losing.host_lost(Run.objects.get(pk=run.pk), now=NOW)


@pytest.mark.parametrize("kind", ["migrate", "switch", "check"])
def test_a_lost_host_leaves_a_run_that_may_have_changed_something_unknown(
    deploy: Run, fake: FakeRunner, kind: str
) -> None:
    drive(deploy, fake, stop_at=kind)
    host_lost(deploy)
    assert fresh(deploy.rollout).state == R.UNKNOWN
    assert Incident.objects.get().severity == "P0"
    assert "host local was lost" in fresh(deploy.rollout).state_why


def test_a_lost_host_between_two_steps_of_effect_leaves_the_next_one_unknown(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(deploy, fake, stop_at="migrate")
    fake.succeed()
    monkeypatch.setattr(engine, "_start", lambda *_: None)
    engine.advance(deploy.pk)
    host_lost(deploy)
    assert deploy.steps.get(kind="switch").state == "UNKNOWN"


def test_a_lost_host_that_changed_nothing_yet_fails_the_deploy(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="backup")
    host_lost(deploy)
    assert fresh(deploy.rollout).state == R.FAILED


def test_a_lost_host_returns_a_validated_rollout_to_draft(target: Target, cast: dict, fake: FakeRunner) -> None:
    rita = cast["rita"]
    run = actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)
    drive(run, fake, stop_at="backup")
    host_lost(run)
    assert fresh(run.rollout).state == R.DRAFT


def test_a_watch_goes_on_without_its_host_and_says_so_once(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    host_lost(deploy)
    host_lost(deploy)
    assert fresh(deploy.rollout).state == R.WATCHING
    assert "lost during the watch" in Incident.objects.get().title


def test_what_a_lost_host_left_is_decided_by_what_it_saw_last(
    deploy: Run, cast: dict, fake: FakeRunner, settings: LazySettings
) -> None:
    drive(deploy, fake, stop_at="migrate")
    host_lost(deploy)
    settings.GR_HOST_ID = "elsewhere"
    seen = {"held": False, "answer": "unknown", "epoch": 9}
    Run.objects.filter(pk=deploy.pk).update(probe=seen, probed_at=NOW)
    deciding.done(fresh(deploy.rollout), user=cast["tom"], why="seen on its console", by=actor(cast["tom"]), now=NOW)
    deploy.refresh_from_db()
    assert (deploy.state, deploy.epoch) == ("RUNNING", 10)


def attached_nowhere(*arguments: Any, **named: Any) -> None:
    raise OSError(28, "No space left on device")


def test_output_that_cannot_be_kept_does_not_keep_a_run_from_ending(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drive(deploy, fake, stop_at="check")
    (fake.current / "output.log").write_text("what it printed")
    monkeypatch.setattr("monitoring.incidents.attach", attached_nowhere)
    fake.fail()
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.ROLLING_BACK
    assert Incident.objects.get().entries.filter(text__contains="could not be kept here").exists()
