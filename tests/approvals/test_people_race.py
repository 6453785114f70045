"""Admins who confirm at the same moment, on both databases: one change once, and never nobody left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a new, empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'race.sqlite3'}"
        return
    url = request.getfixturevalue("postgres_url")
    name = f"gr_people_race_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            server.execute(f"DROP DATABASE {name}")


def race(mode: str, database: str) -> dict:
    """Run the race and return what happened."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "GR_SUITE_DATABASE_URL": database}
    argv = [sys.executable, "-m", "tests.approvals.people_race", mode]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_seven_admins_who_confirm_at_once_confirm_once(database: str) -> None:
    happened = race("one", database)
    assert happened.pop("why") == ["This change was confirmed already."]
    assert happened == {"admins": 8, "answers": 1, "changed": 1, "refused": 6}


@pytest.mark.slow
def test_admins_who_take_the_role_from_each_other_leave_two(database: str) -> None:
    happened = race("crossed", database)
    assert (happened["admins"], happened["answers"], happened["refused"]) == (2, 1, 2)


@pytest.mark.slow
def test_two_who_go_at_once_past_every_verb_leave_one(database: str) -> None:
    happened = race("last", database)
    assert (happened["admins"], happened["refused"]) == (1, 1)
    assert "last active admin stays" in happened["why"][0]
