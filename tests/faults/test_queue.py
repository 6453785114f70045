"""A queue that loses, delays, doubles and shuffles messages: every run ends as with a good one, nothing is doubled.

Bad is what web, worker and stage hand send; pulse's own messages arrive, but when they come tenfold, that are all.
"""

import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scale
from tests.faults.processes import MANAGE, Installation

TARGETS = dict.fromkeys(("t0", "t1", "t2")[: scale.count(2, 3)], "")
ROUNDS = scale.count(1, 10)
PICKED_UP_S = 3.0


@pytest.fixture(scope="module")
def house() -> Iterator[Installation]:
    """Return an installation without a web process: the stage hand clicks."""
    folder = Path(tempfile.mkdtemp(prefix="gr-queue-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    with Installation(folder / "gr", targets=TARGETS) as made:
        yield made
    shutil.rmtree(folder)


def runs_with(house: Installation, mode: str, *, pulse_too: bool = False) -> list[int]:
    """Start rollouts on all targets, some times, while messages meet their fate; return the runs once they ended."""
    bad = [sys.executable, "-m", "tests.faults.bad_queue", mode]
    house.stop()
    house.add("worker", [*bad, "worker"])
    house.add("pulse", [*bad, "pulse"] if pulse_too else [*MANAGE, "pulse"])
    house.until(lambda: house.is_up("worker"), "worker and pulse are up")
    house.ask("spoil_queue", mode=mode)
    runs: list[int] = []
    for _ in range(ROUNDS):
        runs += [house.ask("deploy", environment=name) for name in TARGETS]
        house.wait_end(runs)
    return runs


@pytest.fixture(scope="module")
def lost(house: Installation) -> list[int]:
    """Runs of which every message was lost."""
    return runs_with(house, "lose")


@pytest.fixture(scope="module")
def late(house: Installation, lost: list[int]) -> list[int]:
    """Runs whose messages all came when they had ended long ago."""
    runs = runs_with(house, "late")
    with house.connect() as connection:
        connection.execute("UPDATE django_q_ormq SET lock = '2020-01-01 00:00:00'")
    house.until(lambda: not waiting(house), "the late messages are taken")
    return runs


@pytest.fixture(scope="module")
def tenfold(house: Installation, late: list[int]) -> list[int]:
    """Runs whose messages, pulse's too, all came ten times and out of order."""
    return runs_with(house, "tenfold", pulse_too=True)


def waiting(house: Installation) -> int:
    return int(house.rows("SELECT count(*) FROM django_q_ormq WHERE key LIKE 'guarded%'")[0][0])


def moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


def states(house: Installation, runs: list[int]) -> set[str]:
    return {house.state_of(run) for run in runs}


def test_every_run_ends_though_every_message_is_lost(house: Installation, lost: list[int]) -> None:
    assert states(house, lost) == {"SUCCEEDED"}


def test_a_click_whose_message_is_lost_is_picked_up_within_3_seconds(house: Installation, lost: list[int]) -> None:
    rows = house.rows("SELECT created_at, started_at FROM rollout_run WHERE id <= ?", max(lost))
    waits = [(moment(started) - moment(created)).total_seconds() for created, started in rows]
    print(f"{len(waits)} clicks: median {statistics.median(waits):.2f} s, worst {max(waits):.2f} s")
    assert statistics.median(waits) < PICKED_UP_S


def test_a_step_that_ends_is_picked_up_within_3_seconds(house: Installation, lost: list[int]) -> None:
    waits = []
    for run, number, ended in house.rows(
        "SELECT run_id, number, ended_at FROM rollout_step WHERE run_id <= ?", max(lost)
    ):
        file = Path(house.env["GR_RUN_DIR"], f"steps/run{run}-step{number}-try1/exit.json")
        if file.exists():
            waits.append(utc(ended) - json.loads(file.read_text())["at"])
    print(f"{len(waits)} steps: median {statistics.median(waits):.2f} s, worst {max(waits):.2f} s")
    assert statistics.median(waits) < PICKED_UP_S


def utc(text: Any) -> float:
    return (moment(text) - datetime(1970, 1, 1)).total_seconds()


def test_every_run_ends_though_every_message_is_late(house: Installation, late: list[int]) -> None:
    assert states(house, late) == {"SUCCEEDED"}


def test_messages_of_runs_that_have_ended_do_nothing(house: Installation, late: list[int]) -> None:
    assert house.doubled() == []


def test_every_run_ends_though_every_message_comes_ten_times(house: Installation, tenfold: list[int]) -> None:
    assert states(house, tenfold) == {"SUCCEEDED"}


def test_nothing_is_done_twice_though_every_message_comes_ten_times(house: Installation, tenfold: list[int]) -> None:
    assert house.doubled() == []


def test_each_run_has_had_its_effect_once(house: Installation, tenfold: list[int]) -> None:
    runs = len(tenfold) * 3
    assert sum(len(house.effects(name)) for name in TARGETS) == 2 * runs


def test_no_task_failed(house: Installation, tenfold: list[int]) -> None:
    assert house.rows("SELECT func, result FROM django_q_task WHERE NOT success") == []


def test_the_audit_holds(house: Installation, tenfold: list[int]) -> None:
    assert house.ask("verify_audit").endswith("the chain holds\n")
