"""However many workers advance a run at once, it begins once, and each of its steps is started and recorded once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_eight_workers_at_once_start_a_step_once(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "GR_SUITE_DATABASE_URL": f"sqlite:///{tmp_path / 'race.sqlite3'}",
    }
    argv = [sys.executable, "-m", "tests.rollout.engine_race"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    happened = json.loads(done.stdout.splitlines()[-1])
    assert happened == {
        "errors": [],
        "attempts": 1,
        "begun": 1,
        "used": 1,
        "state": "RUNNING",
        "recorded": 1,
    }
