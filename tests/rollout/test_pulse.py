"""The pulse finds what is due and what was lost, and says each thing only so often."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from monitoring.models import Notice, Watch
from rollout import actions, detached, engine, heartbeat, nudge, runner
from rollout.models import Heartbeat, Run, Target
from rollout.pulse import SLEEP_S, TICK_S, Pulse
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


@pytest.mark.parametrize("content", [b"{", b"7", b"\xff"])
def test_a_folder_that_cannot_be_read_does_not_stop_the_pulse(
    deploy: Run, fake: FakeRunner, hints: list, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    drive(deploy, fake, stop_at="stage")
    (fake.current / runner.EXIT).write_bytes(content)
    monkeypatch.setattr(runner, "read_exit", lambda folder: detached.read(folder / runner.EXIT))
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
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    assert runs_hinted(hints) == [deploy.pk]


def test_a_breach_that_rows_leave_to_people_is_looked_at_now_and_then(
    deploy: Run, fake: FakeRunner, hints: list
) -> None:
    asked(deploy, fake)
    factories.put_in(deploy.rollout, R.WATCHING, automatic_rollback_used=True)
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    clock, hinted = Clock(), 0
    pulse = Pulse(clock)
    for _ in range(40):
        hints.clear()
        pulse.tick(NOW)
        hinted += ("rollout.tasks.advance", deploy.pk) in hints
        clock.at += 1
    assert hinted == 2


def abort(deploy: Run, user: User) -> None:
    actions.abort(factories.fresh(deploy.rollout), user=user, why="it looks wrong", by=actor(user), now=NOW)


def test_an_abort_during_the_watch_is_found(deploy: Run, cast: dict, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    abort(deploy, cast["tom"])
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
    assert heartbeat.age_s("pulse@local") is not None


def test_a_sign_of_life_is_a_counter_that_changes(target: Target) -> None:
    heartbeat.beat("worker")
    heartbeat.beat("worker")
    assert Heartbeat.objects.get(name="worker").counter == 2


def test_who_never_lived_has_no_age(target: Target) -> None:
    assert heartbeat.age_s("nobody") is None


def test_pulse_sleeps_for_less_than_a_second_when_nothing_is_due(target: Target, hints: list) -> None:
    assert Pulse().tick(NOW) == SLEEP_S < 1


def test_pulse_looks_often_while_a_run_is_on_its_way(deploy: Run, hints: list) -> None:
    assert Pulse().tick(NOW) == TICK_S


def test_pulse_sleeps_until_a_watch_is_due(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    Notice.objects.all().delete()
    due = Watch.objects.get().next_due_at
    assert Pulse().tick(due - timedelta(seconds=0.05)) == 0.05


def test_pulse_asks_again_soon_for_a_watch_that_nobody_took(deploy: Run, fake: FakeRunner, hints: list) -> None:
    drive(deploy, fake)
    assert Pulse().tick(Watch.objects.get().next_due_at) == TICK_S


@pytest.fixture
def elsewhere(deploy: Run) -> Run:
    """Return the run as one of another host."""
    Run.objects.update(host_id="b")
    Heartbeat.objects.create(name="pulse@b", counter=7, at=NOW)
    deploy.refresh_from_db()
    return deploy


def lost_after(pulse: Pulse, clock: Clock, seconds: float, hints: list) -> list[tuple[Any, ...]]:
    """Tick, wait, tick again; return the hosts that were called lost."""
    hints.clear()
    pulse.tick(NOW)
    clock.at += seconds
    pulse.tick(NOW)
    return [message[1:] for message in hints if message[0] == "rollout.tasks.host_lost"]


def test_a_run_of_another_host_is_left_to_it(elsewhere: Run, hints: list) -> None:
    assert runs_hinted(hints) == []


def test_an_unknown_run_is_probed_again_and_again(deploy: Run, hints: list) -> None:
    Run.objects.update(state="UNKNOWN")
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(3):
        pulse.tick(NOW)
        clock.at += 30
    assert [message for message in hints if message[0] == "rollout.tasks.probe"] == [
        ("rollout.tasks.probe", deploy.pk)
    ] * 3


def test_a_host_that_counts_no_further_while_it_has_a_run_is_lost(elsewhere: Run, hints: list) -> None:
    Run.objects.update(state="RUNNING")
    clock = Clock()
    assert lost_after(Pulse(clock), clock, 61, hints) == [("b", 7)]


def test_a_host_that_counts_on_is_not_lost(elsewhere: Run, hints: list) -> None:
    Run.objects.update(state="RUNNING")
    clock = Clock()
    pulse = Pulse(clock)
    assert lost_after(pulse, clock, 40, hints) == []
    Heartbeat.objects.update(counter=8)
    assert lost_after(pulse, clock, 40, hints) == []


def test_whoever_has_just_begun_to_look_calls_nobody_lost(elsewhere: Run, hints: list) -> None:
    Run.objects.update(state="RUNNING")
    Heartbeat.objects.update(at=later(-86_400))
    clock = Clock()
    assert lost_after(Pulse(clock), clock, 30, hints) == []


def test_a_host_that_never_counted_is_lost_as_well(elsewhere: Run, hints: list) -> None:
    Run.objects.update(state="RUNNING")
    Heartbeat.objects.all().delete()
    clock = Clock()
    assert lost_after(Pulse(clock), clock, 61, hints) == [("b", 0)]


def test_a_run_that_waits_for_a_silent_host_goes_on_waiting(elsewhere: Run, hints: list) -> None:
    clock = Clock()
    assert lost_after(Pulse(clock), clock, 1000, hints) == []


def test_its_abort_makes_somebody_else_act(elsewhere: Run, cast: dict, hints: list) -> None:
    abort(elsewhere, cast["tom"])
    clock = Clock()
    assert lost_after(Pulse(clock), clock, 61, hints) == [("b", 7)]


def test_two_pulses_on_one_host_count_together(target: Target, hints: list) -> None:
    Pulse().tick(NOW)
    Pulse().tick(NOW)
    assert Heartbeat.objects.get(name="pulse@local").counter == 2


def test_a_target_of_which_nobody_knows_what_is_live_is_looked_at(target: Target, hints: list) -> None:
    Target.objects.filter(pk=target.pk).update(live_version="")
    Pulse().tick(NOW)
    assert ("rollout.tasks.see", target.pk) in hints


def test_a_host_without_workers_asks_itself_for_nothing(target: Target, hints: list) -> None:
    heartbeat.beat("worker@b")
    Pulse().tick(NOW)
    assert ("rollout.tasks.sign",) not in hints
