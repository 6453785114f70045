"""A target with a backup of 1.0.0 and a live 1.1.0, and what a bad release can do to it; for tests of a rollback."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rollout import component, plan
from rollout.drivers.ports import spare_port
from rollout.intent import Intent, Outcome
from rollout.steps import backup, restore, start, stop, verify
from rollout.steps.frame import Frame
from tests import factories

DATABASE = "shared/dhash.sqlite3"
OLD, NEW = "releases/0001-1.0.0", "releases/0002-1.1.0"
RUNS = {"verify": verify, "stop": stop, "backup": backup, "restore": restore, "start": start}


@pytest.fixture
def folder(tmp_path: Path) -> Frame:
    """Return the frame of a step's folder."""
    (tmp_path / "step").mkdir()
    return Frame(tmp_path / "step")


@pytest.fixture
def intent(tmp_path: Path, folder: Frame) -> Intent:
    """Return an intent to roll 1.1.0 back to a backup of 1.0.0, on a target with files, a database and a stop.sh."""
    path = factories.write_component(tmp_path)
    gates = (tmp_path / "quality-gates-config.json").read_text()
    spec = component.parse(path.read_text(), gates_text=gates, base=tmp_path).target("production")
    root = spec.root_path
    release(root / OLD, stops=True)
    (root / "shared/config").mkdir(parents=True)
    (root / "shared/config/limits.toml").write_text("limit = 10\n")
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("CREATE TABLE image (hash TEXT)")
        database.executemany("INSERT INTO image VALUES (?)", [(str(n),) for n in range(20)])
        database.commit()
    commands = {**spec.commands, "stop": ("sh", "./stop.sh"), "start": ("sh", "./stop.sh")}
    target = replace(
        spec, sqlite=(DATABASE,), directories=("shared/config",), commands=commands, port=spare_port("127.0.0.1")
    )
    made = Intent(
        token="run1-step1-try1",
        epoch=1,
        run_kind="rollback",
        step_kind="backup",
        title="a step",
        target=target,
        params={},
        backups=str(tmp_path / "backups"),
        scratch=str(tmp_path / "scratch"),
        live_version="1.1.0",
    )
    facts = backup.run(made, folder).facts
    release(root / NEW, stops=True)
    (root / "current").unlink()
    (root / "current").symlink_to(NEW)
    return replace(made, backup=facts["path"], backup_sha256=facts["sha256"])


def release(place: Path, *, stops: bool) -> None:
    """Write a release that notes who stops it."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "VERSION").write_text(place.name)
    (place / "blob").write_bytes(os.urandom(100_000))
    (place / "stop.sh").write_text(f"echo {place.name} stops >> $GR_SHARED/stopped; exit {0 if stops else 1}\n")


def root_of(intent: Intent) -> Path:
    return intent.target.root_path


def garbage(intent: Intent) -> None:
    (root_of(intent) / DATABASE).write_bytes(b"garbage" * 1000)
    Path(f"{root_of(intent) / DATABASE}-wal").write_bytes(b"more of it")


def deleted(intent: Intent) -> None:
    (root_of(intent) / DATABASE).unlink()


def a_directory_for_a_database(intent: Intent) -> None:
    deleted(intent)
    (root_of(intent) / DATABASE / "x").mkdir(parents=True)


def no_current(intent: Intent) -> None:
    (root_of(intent) / "current").unlink()


def current_is_a_directory(intent: Intent) -> None:
    no_current(intent)
    (root_of(intent) / "current").mkdir()


def current_leads_nowhere(intent: Intent) -> None:
    no_current(intent)
    (root_of(intent) / "current").symlink_to("releases/9999-gone")


def no_undo_folder(intent: Intent) -> None:
    (Path(intent.backups) / "undo").write_text("no directory can be made here")


def no_stop(intent: Intent) -> None:
    release(root_of(intent) / NEW, stops=False)


def no_release(intent: Intent) -> None:
    shutil.rmtree(root_of(intent) / NEW)


def no_shared(intent: Intent) -> None:
    shutil.rmtree(root_of(intent) / "shared")


def a_pipe_in_the_configuration(intent: Intent) -> None:
    os.mkfifo(root_of(intent) / "shared/config/pipe")


def everything(intent: Intent) -> None:
    garbage(intent)
    no_stop(intent)
    no_current(intent)
    no_undo_folder(intent)


DAMAGE: list[Callable[[Intent], None]] = [
    garbage,
    deleted,
    a_directory_for_a_database,
    no_current,
    current_is_a_directory,
    current_leads_nowhere,
    no_undo_folder,
    no_stop,
    no_release,
    no_shared,
    a_pipe_in_the_configuration,
    everything,
]


def rolled_back(intent: Intent, folder: Frame) -> dict[str, Outcome]:
    """Run the steps of the plan up to the start, as the engine does; return how each ended."""
    ended = {}
    for step in plan.rollback("1.0.0")[:6]:
        outcome = RUNS[step.kind].run(replace(intent, params=step.params), folder)
        assert outcome.ok
        ended[step.params.get("what", step.kind)] = outcome
    return ended
