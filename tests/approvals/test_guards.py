"""A check that is taken out of the rules fails a test: a sample here, all of them by bench/guards.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import scale

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_guard_of_a_sample_that_is_removed_fails_a_test() -> None:
    pure = [f"approvals/{name}.py" for name in ("rules", "voices", "solver")]
    how = ["--guards", "--sample", str(scale.count(20, 1000)), "--seed", str(scale.seed())]
    env = {key: value for key, value in os.environ.items() if key != "GR_SUITE_DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "bench/guards.py", *how, *pure], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "guards: 20 of 20 killed" in done.stdout or scale.FULL
