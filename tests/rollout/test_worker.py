"""The queue's cluster is crash-only: when one of its processes is killed, all of them leave."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0
LEFT = 3
pytestmark = pytest.mark.slow


def until(holds: Callable[[], Any], what: str) -> Any:
    """Return what `holds` returns as soon as that is true; fail after a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE_S} s"
        time.sleep(0.05)
    return found


def children(pid: int) -> list[int]:
    """Return the processes that one started (Linux)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def workers(main: int) -> list[int]:
    """Return the processes below the sentinel: workers, monitor, pusher."""
    return [worker for sentinel in children(main) for worker in children(sentinel)]


def lives(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Return a running cluster with all its processes; whatever is left of it is killed afterwards."""
    if not sys.platform.startswith("linux"):
        pytest.skip("LINUX MISSING: the processes of a cluster are read from /proc")
    environment = {
        **{key: value for key, value in os.environ.items() if key in ("PATH", "HOME")},
        "DJANGO_SETTINGS_MODULE": "rollout.settings",
        "DJANGO_SECRET_KEY": "only-for-tests",
        "GR_VAR": str(tmp_path / "var"),
        "GR_BACKUPS": str(tmp_path / "backups"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
    }
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True, capture_output=True)
    with (tmp_path / "worker.log").open("wb") as log:
        started = subprocess.Popen(
            [*manage, "worker"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: len(workers(started.pid)) >= 4, "the start of two workers, monitor and pusher")
        yield started
    finally:
        for pid in (*workers(started.pid), *children(started.pid), started.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.wait()


def test_a_killed_idle_worker_takes_the_whole_cluster_with_it(cluster: subprocess.Popen[bytes]) -> None:
    family = [*children(cluster.pid), *workers(cluster.pid)]
    os.kill(workers(cluster.pid)[0], signal.SIGKILL)
    assert cluster.wait(PATIENCE_S) == LEFT
    until(lambda: not any(lives(pid) for pid in family), "the end of the whole family")


def test_a_cluster_that_is_told_to_stop_ends_with_0(cluster: subprocess.Popen[bytes]) -> None:
    family = [*children(cluster.pid), *workers(cluster.pid)]
    cluster.send_signal(signal.SIGTERM)
    assert cluster.wait(PATIENCE_S) == 0
    until(lambda: not any(lives(pid) for pid in family), "the end of the whole family")
