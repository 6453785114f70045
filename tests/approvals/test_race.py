"""Decisions at the same moment: each person once, none lost, none counted twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def race(mode: str, tmp_path: Path) -> dict:
    """Run the race on a new database file and return what happened."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings"),
        "GR_SUITE_DATABASE_URL": f"sqlite:///{tmp_path / 'race.sqlite3'}",
    }
    argv = [sys.executable, "-m", "tests.approvals.race", mode]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_fifty_people_who_approve_at_once_are_recorded_once_each(tmp_path: Path) -> None:
    happened = race("everybody", tmp_path)
    assert happened == {
        "decisions": 51,
        "people": 51,
        "seqs": list(range(1, 52)),
        "audited": 51,
        "refused": [],
        "state": "COMPLETE",
    }


@pytest.mark.slow
def test_one_person_who_clicks_fifty_times_at_once_is_recorded_once(tmp_path: Path) -> None:
    happened = race("one", tmp_path)
    assert (happened["decisions"], happened["audited"]) == (1, 1)
    assert happened["refused"] == ["You cannot decide this: you have approved this already; revoke that first."]
