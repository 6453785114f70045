"""No row that somebody wrote lets a run be looked at by nobody: pulse finds it, it goes on or ends, people are told."""

from typing import Any

import pytest

from monitoring import watcher
from monitoring.models import AuditEntry, Incident, Notice, Watch
from rollout import actions, alarms, endings, engine, nudge, tasks, to_light, wanting, watching
from rollout.models import Run, Target
from rollout.pulse import IDLE_S, Pulse
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh, later
from tests.fakes import FakeRunner, drive
from tests.rollout.test_edited_rows import Cast, started, state
from tests.rollout.test_pulse import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what would have been enqueued."""
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(nudge, "_soon", lambda *message: told.append(message))
    return told


def looks(run: Run, hints: list, seconds: int) -> int:
    """Tick for so many seconds; return how often the run was hinted at."""
    clock = Clock()
    pulse = Pulse(clock)
    hints.clear()
    for _ in range(seconds):
        pulse.tick(NOW)
        clock.at += 1
    return hints.count(("rollout.tasks.advance", run.pk))


def p0s() -> list[str]:
    return list(Incident.objects.filter(severity="P0").values_list("title", flat=True))


def test_a_run_that_watches_is_left_alone(target: Target, cast: Cast, fake: FakeRunner, hints: list) -> None:
    assert looks(drive(started(target, cast), fake), hints, 40) == 0


def test_a_run_whose_watch_was_taken_from_its_row_is_parked(
    target: Target, cast: Cast, fake: FakeRunner, hints: list
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(deploy, watch_id=None)
    factories.decide_watches("BREACHED")
    assert looks(deploy, hints, int(IDLE_S) + 10) == 2
    engine.advance(deploy.pk)
    assert (state(deploy), len(p0s())) == (("UNKNOWN", "UNKNOWN"), 1)


def test_a_watch_that_was_opened_after_the_run_was_read_is_no_edit(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    fake.succeed()
    seen = Run.objects.select_related("rollout").get(pk=deploy.pk)
    assert seen.watch is None
    drive(deploy, fake)
    assert watching.settle(seen, deploy.steps.get(kind="watch"), now=NOW) is False
    assert state(deploy) == ("RUNNING", "WATCHING")


@pytest.mark.parametrize("watched", [False, True])
def test_a_command_at_work_that_was_written_as_a_watch_is_parked(
    target: Target, cast: Cast, fake: FakeRunner, hints: list, watched: bool
) -> None:
    other = drive(started(Target.objects.get(environment__name="staging"), cast, "1.2.0"), fake)
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy.steps.get(state="RUNNING"), kind="watch")
    if watched:
        forger.edit(deploy, watch_id=Run.objects.get(pk=other.pk).watch_id)
    fake.release()
    assert looks(deploy, hints, 10) == 1
    engine.advance(deploy.pk)
    assert (state(deploy), len(p0s())) == (("UNKNOWN", "UNKNOWN"), 1)


LEFT = [
    {"state": "CLOSED"},
    {"state": "DECIDED"},
    {"state": "x"},
    {"outcome": "x"},
    {"state": "CLOSED", "outcome": "NEEDS_DECISION"},
]


@pytest.mark.parametrize("written", LEFT)
def test_people_are_asked_about_a_watch_that_was_written_as_over_and_it_is_looked_at_again(
    target: Target, cast: Cast, fake: FakeRunner, hints: list, written: dict[str, str]
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Watch.objects.get(), **written)
    assert looks(deploy, hints, 10) == 1
    engine.advance(deploy.pk)
    assert "nobody looks at it any more" in fresh(deploy.rollout).needs_decision
    assert Notice.objects.filter(event="needs_decision").exists()
    assert wanting.why(Run.objects.get(pk=deploy.pk)) == "" and watcher.next_due(later(600)) is not None
    rollout, olaf = fresh(deploy.rollout), cast["olaf"]
    actions.accept(rollout, user=olaf, why="I looked, all is well.", by=actor(olaf), now=NOW)
    engine.advance(deploy.pk)
    assert state(deploy) == ("SUCCEEDED", "SUCCEEDED")


def test_a_breach_after_that_is_rolled_back(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Watch.objects.get(), state="CLOSED")
    engine.advance(deploy.pk)
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    assert state(deploy) == ("FAILED", "ROLLING_BACK")


def test_a_watch_that_was_closed_as_its_run_ended_asks_nobody(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    seen, step = Run.objects.with_places().get(pk=deploy.pk), deploy.steps.get(kind="watch")
    olaf = cast["olaf"]
    actions.roll_back(fresh(deploy.rollout), user=olaf, why="It looks wrong to me.", by=actor(olaf), now=NOW)
    with pytest.raises(engine.ConflictError):
        watching.settle(seen, step, now=NOW)
    assert not fresh(deploy.rollout).needs_decision
    assert not AuditEntry.objects.filter(action="watch.needs_decision").exists()


@pytest.mark.parametrize("stop", ["migrate", ""])
@pytest.mark.parametrize("written", ["SUCCEEDED", "FAILED", "CANCELLED", "UNKNOWN"])
def test_a_run_at_work_that_was_written_as_over_goes_on_and_people_are_told(
    target: Target, cast: Cast, fake: FakeRunner, stop: str, written: str
) -> None:
    deploy = drive(started(target, cast), fake, stop_at=stop)
    forger.edit(deploy, state=written)
    told = Notice.objects.count()
    for _ in range(2):
        tasks.sweep()
    assert (Run.objects.get(pk=deploy.pk).state, p0s()) == (
        "RUNNING",
        [f"Run {deploy.pk} goes on: only its row said that it does not"],
    )
    assert Notice.objects.count() > told
    drive(Run.objects.get(pk=deploy.pk), fake)
    assert state(deploy) == ("RUNNING", "WATCHING")


@pytest.mark.parametrize("written", ["SUCCEEDED", "UNKNOWN"])
def test_people_are_told_also_where_another_run_that_waits_finds_it(
    target: Target, cast: Cast, fake: FakeRunner, written: str
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    waits = started(target, cast, "1.2.0")
    forger.edit(deploy, state=written)
    forger.edit(fresh(deploy.rollout), state=written)
    engine.advance(waits.pk)
    assert (state(waits)[0], state(deploy), len(p0s())) == ("QUEUED", ("RUNNING", "RUNNING"), 1)


def test_a_run_that_cannot_be_put_back_is_told_once(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy, state="SUCCEEDED")
    forger.edit(AuditEntry.objects.get(action="run.running"), subject_label="x")
    for _ in range(2):
        tasks.sweep()
    assert p0s() == [alarms.HIDDEN]


def test_no_entry_beyond_the_head_hides_a_run(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    forger.edit(deploy, state="SUCCEEDED")
    newest = AuditEntry.objects.filter(action="step.running").first()
    assert newest
    newest.pk, newest.seq, newest.new, newest.hash = None, newest.seq + 10**9, "FAILED", "f" * 64
    newest.save(force_insert=True)
    tasks.sweep()
    assert state(deploy)[0] == "RUNNING"


@pytest.mark.parametrize("subject", ["x", "9" * 40])
def test_an_entry_about_no_step_stops_no_sweep(target: Target, cast: Cast, fake: FakeRunner, subject: str) -> None:
    drive(started(target, cast), fake, stop_at="migrate")
    newest = AuditEntry.objects.filter(action="step.running").first()
    assert newest
    forger.edit(newest, subject_id=subject)
    tasks.sweep()
    assert p0s() == []


@pytest.mark.parametrize("end", ["parked", "failed", "succeeded", "at work"])
def test_a_sweep_tells_nobody_of_runs_that_stand_as_they_should(
    target: Target, cast: Cast, fake: FakeRunner, end: str
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate" if end in ("parked", "at work") else "")
    if end == "parked":
        endings.unknown(deploy, deploy.steps.get(state="RUNNING"), why="its runner was lost", now=NOW)
    elif end != "at work":
        factories.decide_watches("BREACHED" if end == "failed" else "PASSED")
        engine.advance(deploy.pk)
    stood, told = state(deploy), Incident.objects.count()
    to_light.look(NOW)
    assert (state(deploy), Incident.objects.count()) == (stood, told)
