"""A real dhash whose release ruined its database and its own stop command comes back, answering, with its rows."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rollout import component, plan
from rollout.archive.dump import row_counts
from rollout.intent import Intent, Outcome
from rollout.steps import backup, check, restore, start, stop, verify
from rollout.steps.frame import Frame
from tests.dhash_world import make_world, stage, switch, world

pytestmark = pytest.mark.slow
WHERE, DATABASE = "production", "shared/dhash.sqlite3"
STEPS = {one.__name__.rpartition(".")[2]: one for one in (verify, stop, backup, restore, start, check)}


@pytest.fixture
def dhash(tmp_path: Path) -> Iterator[world.World]:
    made = make_world(tmp_path / "world", demo_span=False)
    made.start(WHERE)
    yield made
    made.stop_all()


def intent_for(made: world.World, **values: str) -> Intent:
    gates = (made.directory / "quality-gates-config.json").read_text()
    spec = component.parse(made.component_file.read_text(), gates_text=gates, base=made.directory).target(WHERE)
    given = {"backups": str(made.directory / "backups"), "scratch": str(made.directory / "scratch"), **values}
    return Intent(
        token="t", epoch=1, run_kind="rollback", step_kind="backup", title="a step", target=spec, params={}, **given
    )


def ruin(made: world.World) -> None:
    """Do what a terrible release does while it is watched; it goes on serving."""
    root = made.root(WHERE)
    (root / "current/dhash/ctl.py").write_text("raise SystemExit('no control any more')\n")
    for suffix in ("-wal", "-shm"):
        Path(f"{root / DATABASE}{suffix}").unlink(missing_ok=True)
    (root / DATABASE).write_bytes(b"garbage" * 5000)


def test_it_is_rolled_back_and_answers_with_the_rows_of_the_backup(dhash: world.World, tmp_path: Path) -> None:
    frame = Frame(tmp_path)
    facts = backup.run(intent_for(dhash), frame).facts
    rows = facts["rows"][DATABASE]
    switch(dhash, WHERE, stage(dhash, WHERE, "1.1.0"))
    assert dhash.run(WHERE, "migrate").returncode == 0
    assert dhash.run(WHERE, "ctl", "reload").returncode == 0
    ruin(dhash)
    intent = intent_for(dhash, backup=facts["path"], backup_sha256=facts["sha256"], live_version="1.1.0")
    ended: list[Outcome] = []
    for step in plan.rollback("1.0.0"):
        made = Intent(**{**vars(intent), "params": step.params, "step_kind": step.kind})
        ended.append(STEPS[step.kind].run(made, frame))
        if step.kind == "restore":
            assert row_counts(dhash.root(WHERE) / DATABASE) == rows
    assert "stopped by releases/0001-1.0.0" in ended[1].sentence
    assert "raw, unchecked undo copy" in ended[2].sentence
    with urllib.request.urlopen(f"{dhash.base_url(WHERE)}/health", timeout=10) as answer:
        assert json.load(answer)["version"] == "1.0.0"
    with closing(sqlite3.connect(dhash.root(WHERE) / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
