"""Redis as the queue: it loses messages with a killed worker, a flush, its own death, or for want of memory; no run."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacks
from tests.faults import scale
from tests.faults.clicks import Person
from tests.faults.kills import BUSY, Killer
from tests.faults.proc import free_ports, is_open, wait_for
from tests.faults.processes import Installation

redis = pytest.importorskip("redis", reason="REDIS MISSING: pip install -r requirements-redis.txt")
TARGETS = dict.fromkeys(("t0", "t1")[: scale.count(1, 2)], "")
FLUSHES = scale.count(5, 50)
SILENT_S = 4.0
ANSWERS_WITHIN_S = 20.0


class Server:
    """A redis-server of its own."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-server") is None:
            lacks("redis-server", "it is not on the PATH")
        self.folder, self.port = folder, free_ports(1)[0]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        argv = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: is_open(self.port), "Redis listens")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


class World:
    """An installation that queues in Redis, and somebody who clicks in it."""

    def __init__(self, house: Installation, server: Server) -> None:
        self.house, self.server = house, server
        self.person = Person(house)
        self.answered_s = 0.0

    def click(self) -> list[int]:
        """Click start on a new rollout of every target; return the runs."""
        rollouts = [self.house.ask("approve", environment=name) for name in TARGETS]
        began = time.monotonic()
        for rollout in rollouts:
            self.person.start(rollout)
        self.answered_s = time.monotonic() - began
        marks = ", ".join(map(str, rollouts))
        return [row[0] for row in self.house.rows(f"SELECT id FROM rollout_run WHERE rollout_id IN ({marks})")]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Return a live installation."""
    folder = Path(tempfile.mkdtemp(prefix="gr-redis-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    server = Server(folder)
    try:
        with Installation(folder / "gr", targets=TARGETS, GR_REDIS_URL=server.url) as house:
            yield World(house.start(), server)
    finally:
        server.kill()
        shutil.rmtree(folder)


def test_runs_end_though_busy_workers_are_killed(world: World) -> None:
    (world.house.folder / "slow").write_text("0.3")
    killer = Killer(world.house, random.Random(scale.seed()))
    for _ in range(scale.count(1, 10)):
        killer.kill(BUSY)
    (world.house.folder / "slow").unlink()
    assert set(world.house.wait_end(killer.runs)) == {"SUCCEEDED"}


def test_runs_end_though_everything_is_flushed(world: World) -> None:
    runs, killer = world.click(), Killer(world.house, random.Random())
    for _ in range(FLUSHES):
        world.server.client.flushall()
        killer.wait_progress(or_else=lambda: not is_live(world, runs))
    assert set(world.house.wait_end(runs)) == {"SUCCEEDED"}


def is_live(world: World, runs: list[int]) -> bool:
    return any(world.house.state_of(run) in ("QUEUED", "RUNNING") for run in runs)


def test_pages_answer_and_runs_end_though_redis_was_killed(world: World) -> None:
    world.server.kill()
    runs = world.click()
    silent_until = time.monotonic() + SILENT_S
    world.house.until(lambda: time.monotonic() > silent_until, "a while without Redis")
    world.server.start()
    assert set(world.house.wait_end(runs)) == {"SUCCEEDED"}
    assert world.answered_s < ANSWERS_WITHIN_S


def test_pages_answer_and_runs_end_though_redis_had_no_memory(world: World) -> None:
    world.server.client.config_set("maxmemory", "1mb")
    runs = world.click()
    silent_until = time.monotonic() + SILENT_S
    world.house.until(lambda: time.monotonic() > silent_until, "a while without memory")
    assert {world.house.state_of(run) for run in runs} == {"QUEUED"}
    world.server.client.config_set("maxmemory", "0")
    assert set(world.house.wait_end(runs)) == {"SUCCEEDED"}
    assert world.answered_s < ANSWERS_WITHIN_S


def test_no_message_went_through_the_database(world: World) -> None:
    assert world.house.rows("SELECT id FROM django_q_ormq") == []


def test_nothing_was_done_twice(world: World) -> None:
    assert world.house.doubled() == []
