"""The processes as up.py starts them: web, worker and pulse; a run goes through though two of them are killed."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import up
from scripts import supervise
from tests.dhash_world import dhash_python, world

pytestmark = pytest.mark.slow

WITHIN_S = 120
FOLDER = "'run' || run_id || '-step' || number || '-try' || attempt"
STEPS = f"SELECT kind, state, attempt, {FOLDER} FROM rollout_step ORDER BY id"


@dataclass(kw_only=True)
class Installation:
    """A running product with a state of its own, looked at only through its database file and its web process."""

    directory: Path
    env: dict[str, str]
    house: supervise.House
    killed: list[str] = field(default_factory=list)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the database file."""
        with sqlite3.connect(f"file:{self.directory}/gr/db.sqlite3?mode=ro", uri=True, timeout=20) as database:
            return database.execute(sql).fetchall()

    def wait(self, what: str, until: Callable[[], bool]) -> None:
        """Supervise the processes, as up.py does, until something is so."""
        deadline = time.monotonic() + WITHIN_S
        self.house.keep(lambda: until() or time.monotonic() > deadline)
        assert until(), f"not within {WITHIN_S} s: {what}\n{self.story()}"

    def kill_during(self, step_kind: str, process: str) -> None:
        """Kill one of the processes at once, without a word, while the command of a step of a kind is running."""
        self.wait(f"{step_kind} runs", lambda: self.runs(step_kind))
        child = next(one for one in self.house.children if one.name == process)
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait(timeout=10)
        assert self.runs(step_kind), f"{step_kind} was over too early"
        self.killed.append(process)

    def runs(self, step_kind: str) -> bool:
        """Say whether the command of a step of a kind was started and has not ended."""
        names = [name for kind, state, _, name in self.ask(STEPS) if (kind, state) == (step_kind, "RUNNING")]
        folders = [self.directory / "gr" / "run" / "steps" / name for name in names]
        return any((one / "started.json").exists() and not (one / "exit.json").exists() for one in folders)

    def story(self) -> str:
        """Return the steps and the end of every log."""
        logs = [f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in (self.directory / "log").iterdir()]
        return "\n".join([*map(str, self.ask(STEPS)), *logs])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start dhash in staging and the product beside it; both end with the module."""
    directory = tmp_path_factory.mktemp("installation")
    ports = {name: world.free_port() for name in world.DEFAULT_PORTS}
    made = world.make(directory / "world", python=dhash_python(), ports=ports)
    made.start("staging")
    port = world.free_port()
    own = up.demo_settings(port) | {
        "GR_VAR": str(directory / "gr"),
        "GR_RUN_DIR": str(directory / "gr" / "run"),
        "GR_BACKUPS": str(directory / "backups"),
        "DATABASE_URL": f"sqlite:///{directory}/gr/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "rollout.settings",
        "DJANGO_SECRET_KEY": "only-for-tests",
    }
    (directory / "gr").mkdir()
    house = supervise.House()
    try:
        up.serve(house, port, {**os.environ, **own}, directory / "log")
        yield Installation(directory=directory, env={**os.environ, **own}, house=house)
    finally:
        house.stop()
        made.stop_all()


@pytest.fixture(scope="module")
def validated(installation: Installation) -> Installation:
    """A rollout to staging is submitted; worker, pulse and worker are killed while its validate run goes on."""
    argv = [sys.executable, "manage.py", "demo_world", "--dir", str(installation.directory / "world")]
    argv += ["--base-url", installation.env["GR_BASE_URL"]]
    done = subprocess.run(argv, cwd=up.ROOT, env=installation.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installation.kill_during("rehearse", "worker")
    installation.kill_during("dry_run", "pulse")
    installation.kill_during("check", "worker")
    installation.wait("the validate run has ended", lambda: installation.ask(ENDED) != [])
    return installation


ENDED = "SELECT state FROM rollout_run WHERE state NOT IN ('QUEUED', 'RUNNING')"


def test_run_goes_through_though_worker_and_pulse_were_killed(validated: Installation) -> None:
    assert validated.killed == ["worker", "pulse", "worker"]
    assert validated.ask(ENDED) == [("SUCCEEDED",)], validated.story()


def test_rollout_waits_for_its_sign_off(validated: Installation) -> None:
    states = (
        "SELECT rollout.state FROM rollout_rollout AS rollout JOIN rollout_run AS run ON run.rollout_id = rollout.id"
    )
    assert validated.ask(states) == [("WAITING",)]


def test_each_step_was_started_once(validated: Installation) -> None:
    assert {attempt for _, _, attempt, _ in validated.ask(STEPS)} == {1}
    started = sorted((validated.directory / "gr" / "run" / "steps").glob("*/started.json"))
    assert len(started) == len(validated.ask(STEPS))


def test_nothing_is_left_in_the_scratch_place(validated: Installation) -> None:
    assert list((validated.directory / "gr" / "scratch").iterdir()) == []


def test_supervisor_brought_every_process_back(validated: Installation) -> None:
    validated.wait("all processes run", lambda: all(child.alive() for child in validated.house.children))
    assert [child.name for child in validated.house.children] == ["web", "worker", "pulse"]


def test_installation_says_that_it_is_ready(validated: Installation) -> None:
    url = validated.env["GR_BASE_URL"].replace("localhost", "127.0.0.1") + "/readyz"

    def ready() -> bool:
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=10) as answer:
            return bool(json.load(answer)["status"] == "ready")
        return False

    validated.wait("readyz says ready", ready)
