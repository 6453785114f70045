"""Fault 8, where GR_RUN_DIR is a disk of its own: a step that fills it ends with an outcome, by that disk's reserve."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from rollout import ballast, commands, runner
from tests.faults import disks

pytestmark = pytest.mark.fault
PATIENCE_S = 60.0
FILL = """
import sys
with open(sys.argv[1], 'wb', 0) as out:
  try:
    while out.write(b'x' * 65536): pass
  except OSError: pass
"""


@pytest.fixture
def run_dir(tmp_path: Path, settings: LazySettings) -> Iterator[Path]:
    """Return a GR_RUN_DIR on a small disk, whose reserve is taken, and that of GR_VAR too."""
    disks.require()
    with disks.tmpfs(tmp_path / "run", 160) as place:
        settings.GR_VAR, settings.GR_RUN_DIR = tmp_path, place
        assert ballast.restore() and [one.parent for one in ballast.paths()] == [place, tmp_path]
        yield place


def test_a_step_that_fills_the_disk_of_the_runner_files_is_recorded(run_dir: Path, tmp_path: Path) -> None:
    folder, lock_file = run_dir / "steps" / "one", run_dir / "locks" / "one.lock"
    folder.mkdir(parents=True)
    with runner.lock(lock_file) as lock:
        argv = [sys.executable, "-c", FILL, str(run_dir / "filler")]
        lock.start(folder, argv, cwd=Path("/"), env=commands.environment(), timeout_s=60)
    until = time.monotonic() + PATIENCE_S
    while runner.is_held(lock_file) and time.monotonic() < until:
        time.sleep(0.05)
    assert (runner.read_exit(folder) or {}).get("code") == 0
    assert [one.exists() for one in ballast.paths()] == [False, True]
    assert f"The disk of {run_dir} is full" in ballast.refusal()
