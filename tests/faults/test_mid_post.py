"""Fault 6: gunicorn is killed in the middle of a POST; all of it happened or nothing, and the retry does it once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scale
from tests.faults.proc import drop_database, make_database

ROOT = Path(__file__).resolve().parents[2]
CI, FULL = 6, 200
OUTWARD = ("SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "DISCORD_WEBHOOK_URL", "WEBHOOK_URL", "EMAIL_TO", "GITHUB_TOKEN")
PATIENCE_S = 400 if not scale.FULL else 3 * 3600


def kills(folder: Path, url: str) -> dict[str, Any]:
    """Kill it so many times in the middle of a decision, a start and an upload; return what was found."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    environment = {
        **kept,
        **{f"GR_{name}": "" for name in OUTWARD},
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "rollout.settings",
        "DJANGO_SECRET_KEY": "only-for-tests-of-faults-only-for-tests-of-faults",
        "GR_VAR": str(folder / "var"),
        "GR_BACKUPS": str(folder / "backups"),
        "DATABASE_URL": url,
        "EMAIL_URL": "dummymail://",
    }
    argv = [sys.executable, "-m", "tests.faults.mid_post", str(scale.count(CI, FULL)), str(scale.seed())]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(told)
    return told


def test_on_sqlite_a_kill_leaves_all_or_nothing_and_the_retry_does_it_once(tmp_path: Path) -> None:
    told = kills(tmp_path, f"sqlite:///{tmp_path / 'db.sqlite3'}")
    assert told["faults"] == [], told


@pytest.mark.skipif(not scale.FULL, reason="the same on PostgreSQL is only run in full (GR_FAULTS=full)")
def test_on_postgres_a_kill_leaves_all_or_nothing_and_the_retry_does_it_once(tmp_path: Path, postgres_url: str) -> None:
    url = make_database(postgres_url)
    try:
        told = kills(tmp_path, url)
    finally:
        drop_database(url)
    assert told["faults"] == [], told
