"""The benches still run: what they fill tables with goes by the product's own inner functions."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import history_world
from monitoring import audit, verify

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_verification_is_measured() -> None:
    argv = [sys.executable, "-m", "bench.audit", "verify", "--entries", "300"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and "all of it" in done.stdout, done.stderr[-2000:]


def test_the_year_that_the_history_is_measured_over_is_a_chain() -> None:
    rows = [dict(zip(history_world.COLUMNS, row, strict=True)) for row, _ in history_world.chain(50)]
    shown = ({name: one[name] for name in verify.COLUMNS} | {"at": audit.stamp(one["at"])} for one in rows)
    kept = ((one["seq"], one["body"], one["prev"], one["hash"], it) for one, it in zip(rows, shown, strict=True))
    assert verify.verify_entries(kept).problems == []
