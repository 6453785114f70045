"""Fault 16: fifty processes click at once, on SQLite and on PostgreSQL; one wins, the others are told who did."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scale
from tests.faults.proc import drop_database, make_database

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = {
    "approve": (10, 500),
    "deploy": (10, 500),
    "deploy+rollback": (10, 500),
    "approve+revoke": (2, 500),
    "revoke+start": (2, 100),
    "break-glass": (2, 100),
    "same key": (2, 100),
    "upload": (1, 100),
}
PATIENCE_S = 600 if not scale.FULL else 6 * 3600
Told = dict[str, dict[str, Any]]


def races(url: str, folder: Path) -> Told:
    """Run every race on a database; return what happened, by kind."""
    wanted = [f"{kind}={scale.count(*rounds)}" for kind, rounds in ROUNDS.items()]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "GR_SUITE_DATABASE_URL": url,
        "TMPDIR": str(folder),
    }
    argv = [sys.executable, "-m", "tests.faults.races", str(scale.seed()), *wanted]
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {one["kind"]: one for one in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """Return a folder for which no disk is needed: what is measured is the order of writers, not the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def on_sqlite(in_memory: Path) -> Told:
    """Return what happened on a database file."""
    return races(f"sqlite:///{in_memory / 'race.sqlite3'}", in_memory)


@pytest.fixture(scope="session")
def on_postgres(in_memory: Path, postgres_url: str) -> Iterator[Told]:
    """Return what happened on PostgreSQL."""
    url = make_database(postgres_url)
    try:
        yield races(url, in_memory)
    finally:
        drop_database(url)


@pytest.mark.parametrize("kind", [*ROUNDS, "audit"])
def test_on_sqlite_one_wins_and_the_others_are_told_who(on_sqlite: Told, kind: str) -> None:
    print(on_sqlite[kind])
    assert on_sqlite[kind]["faults"] == [], on_sqlite[kind]


@pytest.mark.parametrize("kind", [*ROUNDS, "audit"])
def test_on_postgres_one_wins_and_the_others_are_told_who(on_postgres: Told, kind: str) -> None:
    print(on_postgres[kind])
    assert on_postgres[kind]["faults"] == [], on_postgres[kind]
