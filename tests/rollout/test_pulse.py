"""The pulse finds what is due and what was lost, and says each thing only so often."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from monitoring.models import Watch
from rollout import actions, engine, heartbeat, nudge
from rollout.models import Heartbeat, Run, Target
from rollout.pulse import Pulse
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, later
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what would have been enqueued."""
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(nudge, "_soon", lambda *message: told.append(message))
    return told


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def runs_hinted(hints: list[tuple[Any, ...]], now: Any = NOW) -> list[int]:
    """Tick once with a pulse that remembers nothing; return the runs that it hints at."""
    hints.clear()
    Pulse().tick(now)
    return [message[1] for message in hints if message[0] == "rollout.tasks.advance"]


def test_a_queued_run_whose_message_was_lost_is_hinted_at(deploy: Run, hints: list) -> None:
    assert runs_hinted(hints) == [deploy.pk]


def test_the_same_hint_is_given_again_only_after_a_while(deploy: Run, hints: list) -> None:
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(5):
        pulse.tick(NOW)
        clock.at += 0.2
    assert [message[0] for message in hints].count("rollout.tasks.advance") == 1
    clock.at += 2
    pulse.tick(NOW)
    assert [message[0] for message in hints].count("rollout.tasks.advance") == 2


def test_a_command_that_ended_is_hinted_at(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake, stop_at="stage")
    fake.succeed()
    assert runs_hinted(hints) == [deploy.pk]


def test_a_run_between_two_steps_is_hinted_at(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake, stop_at="stage")
    deploy.steps.filter(state="RUNNING").update(state="SUCCEEDED")
    assert runs_hinted(hints) == [deploy.pk]


def test_an_ended_run_is_left_alone(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake, fail_at="stage")
    assert runs_hinted(hints) == []


def test_a_run_that_watches_is_left_alone(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    assert runs_hinted(hints) == []


@pytest.mark.parametrize("outcome", ["PASSED", "BREACHED", "NEEDS_DECISION"])
def test_a_decided_watch_is_hinted_at(deploy: Run, fake: FakeRunner, hints: list, outcome: str) -> None:
    drive(deploy, fake)
    Watch.objects.update(outcome=outcome, state="DECIDED", reason="so it is")
    assert runs_hinted(hints) == [deploy.pk]


def asked(deploy: Run, fake: FakeRunner) -> None:
    """Bring a run to where a person is asked."""
    drive(deploy, fake)
    Watch.objects.update(outcome="NEEDS_DECISION", state="DECIDED", reason="too few samples")
    engine.advance(deploy.pk)


def test_a_question_that_was_asked_is_not_asked_again(deploy: Run, fake: FakeRunner, hints: list) -> None:
    asked(deploy, fake)
    assert runs_hinted(hints) == []


def test_an_answer_whose_message_was_lost_is_found(deploy: Run, cast: dict, fake: FakeRunner, hints: list) -> None:
    asked(deploy, fake)
    rollout = factories.fresh(deploy.rollout)
    actions.accept(rollout, user=cast["tom"], why="looked at it by hand", by=actor(cast["tom"]), now=NOW)
    assert runs_hinted(hints) == [deploy.pk]
    engine.advance(deploy.pk)
    assert factories.fresh(rollout).state == R.SUCCEEDED


def test_a_breach_while_a_person_is_awaited_is_found(deploy: Run, fake: FakeRunner, hints: list) -> None:
    asked(deploy, fake)
    Watch.objects.update(outcome="BREACHED", reason="p95 above 2000 ms")
    assert runs_hinted(hints) == [deploy.pk]


def test_an_abort_during_the_watch_is_found(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    Run.objects.filter(pk=deploy.pk).update(abort_requested=True)
    assert runs_hinted(hints) == [deploy.pk]


def test_a_watch_that_is_due_is_hinted_at(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    watch = Watch.objects.get()
    runs_hinted(hints, watch.next_due_at)
    assert ("rollout.tasks.observe",) in hints


def test_a_sign_off_that_ran_out_is_hinted_at(deploy: Run, hints: list) -> None:
    runs_hinted(hints, later(86_400))
    assert ("rollout.tasks.sweep",) in hints


def test_the_pulse_gives_a_sign_of_life(target: Target, hints: list) -> None:
    Pulse().tick(NOW)
    assert heartbeat.age_s("pulse") is not None


def test_a_sign_of_life_is_a_counter_that_changes(target: Target) -> None:
    heartbeat.beat("worker")
    heartbeat.beat("worker")
    assert Heartbeat.objects.get(name="worker").counter == 2


def test_who_never_lived_has_no_age(target: Target) -> None:
    assert heartbeat.age_s("nobody") is None
