"""The wall clock jumps while real processes deploy: nothing starts twice, nothing waits, nothing passes too early."""

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.live_clock import LiveClock
from tests.faults.processes import Installation
from tests.faults.scale import count, seed
from tests.faults.small_component import GATES

WINDOW_S, GOES_ON_S = 6, 10.0
GATES_S = {**GATES, "window_s": WINDOW_S, "observed_share": 0.9, "max_gap_intervals": 3}
# A zone's clock goes back by an hour at this moment; ours must not notice.
AUTUMN = datetime(2030, 10, 27, 0, 59, 58, tzinfo=UTC)
JUMPS: dict[str, Callable[[LiveClock], None]] = {
    "two hours back": lambda clock: clock.jump(-7200),
    "an hour ahead": lambda clock: clock.jump(3600),
    "to 1970": lambda clock: clock.set_to(datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)),
    "over the end of summer time": lambda clock: clock.set_to(AUTUMN),
    "to 2038": lambda clock: clock.set_to(datetime(2038, 1, 19, 3, 14, 5, tzinfo=UTC)),
}
FOREGROUND = """
import django; django.setup()
from rollout import driving
from rollout.models import Run
driving.drive(Run.objects.latest("pk"), lambda line: print(line, flush=True))
"""
ADVANCE = """
import sys, django; django.setup()
from rollout import engine
engine.advance(int(sys.argv[1]))
"""


def chosen() -> list[str]:
    """Return the jumps of this session, by seed."""
    return random.Random(seed()).sample(list(JUMPS), count(1, len(JUMPS)))


@pytest.fixture
def clock(tmp_path: Path) -> LiveClock:
    return LiveClock(tmp_path)


@pytest.fixture
def house(tmp_path: Path, clock: LiveClock) -> Iterator[Installation]:
    """Return an installation all of whose processes see the live clock; one target holds its reload while we say so."""
    targets = {"changing": "", "watching": ""}
    with Installation(tmp_path / "house", targets=targets, gates=GATES_S, TZ="Europe/Berlin", **clock.env) as made:
        hold_of(made).touch()
        yield made


def hold_of(house: Installation) -> Path:
    """Return the file for as long as which the reload of one target lasts."""
    return house.folder / "config" / "env" / "changing" / "hold"


def polls(house: Installation, run: int) -> int:
    """Return how often a run's watch was looked at."""
    sql = "SELECT polls FROM monitoring_watch w JOIN rollout_run r ON r.watch_id = w.id WHERE r.id = ?"
    return next((polls for (polls,) in house.rows(sql, run)), 0)


def both_under_way(house: Installation) -> tuple[int, int, float]:
    """Start a rollout whose command runs and one that is watched; return their runs and when the watch began."""
    changing, watching = (house.ask("deploy", environment=name) for name in ("changing", "watching"))
    house.until(lambda: house.effects("changing"), "the command runs")
    house.until(lambda: polls(house, watching), "the watch began")
    return changing, watching, time.monotonic()


def check(house: Installation, runs: list[int]) -> None:
    """Check what must hold whatever the clock did."""
    assert house.doubled() == []
    marks = ",".join("?" * len(runs))
    assert house.rows(f"SELECT kind FROM rollout_step WHERE run_id IN ({marks}) AND attempt > 1", *runs) == []
    assert house.ask("verify_audit")
    numbers = [seq for (seq,) in house.rows("SELECT seq FROM monitoring_auditentry ORDER BY id")]
    assert numbers == list(range(1, len(numbers) + 1))


def told(house: Installation) -> list[tuple[str, str]]:
    """Return event and rollout of each notice that was delivered."""
    lines = (house.folder / "var" / "notices.log").read_text().splitlines()
    return [(one["event"], one["subject_id"]) for one in map(json.loads, lines)]


@pytest.mark.parametrize("jump", chosen())
def test_a_jump_of_the_clock_ends_no_watch_early_and_lets_nothing_wait(
    house: Installation, clock: LiveClock, jump: str
) -> None:
    house.start(web=False)
    changing, watching, began = both_under_way(house)
    seen, alive = polls(house, watching), house.beats()
    JUMPS[jump](clock)
    house.until(lambda: polls(house, watching) > seen, "the watch goes on", patience_s=GOES_ON_S)
    house.wait_beats(alive)
    hold_of(house).unlink()
    assert house.wait_end([watching], patience_s=60) == ["SUCCEEDED"]
    assert time.monotonic() - began >= WINDOW_S - 1.5
    assert house.wait_end([changing], patience_s=60) == ["SUCCEEDED"]
    rollouts = {str(one) for (one,) in house.rows("SELECT rollout_id FROM rollout_run")}
    ended = {("rollout_succeeded", one) for one in rollouts}
    house.until(lambda: ended <= set(told(house)), "both ends were told", patience_s=GOES_ON_S)
    check(house, [watching, changing])


def test_a_run_in_the_foreground_is_driven_on_whatever_the_clock_does(house: Installation, clock: LiveClock) -> None:
    run = house.ask("deploy", environment="changing")
    house.add("driver", [sys.executable, "-c", FOREGROUND])
    house.until(lambda: house.effects("changing"), "the command runs")
    clock.jump(-7200)
    hold_of(house).unlink()
    house.until(lambda: polls(house, run), "the watch began", patience_s=GOES_ON_S + 5)
    began, seen = time.monotonic(), polls(house, run)
    clock.jump(3600)
    house.until(lambda: polls(house, run) > seen, "the watch goes on", patience_s=GOES_ON_S)
    assert house.wait_end([run], patience_s=40) == ["SUCCEEDED"]
    assert time.monotonic() - began >= WINDOW_S - 1.5
    check(house, [run])


def test_a_clock_set_back_revives_no_approval(house: Installation, clock: LiveClock) -> None:
    rollout = house.ask("approve", environment="changing")
    clock.jump(25 * 3600)
    house.ask("approve", environment="watching")  # leaves entries in the audit that know the later time
    clock.jump(-25 * 3600)
    run = house.ask("start", rollout=rollout)
    advance = [sys.executable, "-c", ADVANCE, str(run)]
    assert house.spawn("early", advance).wait(60) == 0
    assert house.state_of(run) == "QUEUED", "it waits until the clock is right"
    clock.jump(25 * 3600)
    assert house.spawn("late", advance).wait(60) == 0
    assert house.state_of(run) == "CANCELLED"
    assert house.effects("changing") == []
