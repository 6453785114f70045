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


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of an installation in a scratch folder."""
    return {
        **{key: value for key, value in os.environ.items() if key in ("PATH", "HOME")},
        "DJANGO_SETTINGS_MODULE": "rollout.settings",
        "DJANGO_SECRET_KEY": "only-for-tests",
        "GR_VAR": str(folder / "var"),
        "GR_BACKUPS": str(folder / "backups"),
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
    }


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Return a cluster that has just been started; whatever is left of it is killed afterwards."""
    if not sys.platform.startswith("linux"):
        pytest.skip("LINUX MISSING: the processes of a cluster are read from /proc")
    environment = environment_of(tmp_path)
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True, capture_output=True)
    with (tmp_path / "worker.log").open("wb") as log:
        started = subprocess.Popen(
            [*manage, "worker"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield started
    finally:
        for pid in (*workers(started.pid), *children(started.pid), started.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.wait()


@pytest.fixture
def cluster(starting: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Return a running cluster with all its processes."""
    until(lambda: len(workers(starting.pid)) >= 4, "the start of two workers, monitor and pusher")
    return starting


@pytest.mark.parametrize("victim", [0, 1, 2, 3], ids=["worker", "other worker", "monitor", "pusher"])
def test_a_killed_process_takes_the_whole_cluster_with_it(cluster: subprocess.Popen[bytes], victim: int) -> None:
    family = [*children(cluster.pid), *workers(cluster.pid)]
    os.kill(workers(cluster.pid)[victim], signal.SIGKILL)
    assert cluster.wait(PATIENCE_S) == LEFT
    until(lambda: not any(lives(pid) for pid in family), "the end of the whole family")


def test_a_worker_that_is_killed_with_its_lock_takes_the_whole_cluster_with_it(
    cluster: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    send = "import django; django.setup(); from django_q.tasks import async_task; async_task('{}')"
    argv = [sys.executable, "-c", send.format("tests.rollout.deadly.die_with_the_lock")]
    subprocess.run(argv, cwd=ROOT, env=environment_of(tmp_path), check=True, capture_output=True)
    assert cluster.wait(PATIENCE_S) == LEFT


def test_a_killed_main_process_leaves_no_orphans(cluster: subprocess.Popen[bytes]) -> None:
    family = [*children(cluster.pid), *workers(cluster.pid)]
    cluster.kill()
    cluster.wait(PATIENCE_S)
    until(lambda: not any(lives(pid) for pid in family), "the end of the whole family")


@pytest.mark.parametrize("whole_group", [False, True], ids=["main only", "its whole group"])
def test_a_cluster_that_is_told_to_stop_ends_with_0(
    cluster: subprocess.Popen[bytes], whole_group: bool, tmp_path: Path
) -> None:
    family = [*children(cluster.pid), *workers(cluster.pid)]
    (os.killpg if whole_group else os.kill)(cluster.pid, signal.SIGTERM)
    assert cluster.wait(PATIENCE_S) == 0, (tmp_path / "worker.log").read_text()
    until(lambda: not any(lives(pid) for pid in family), "the end of the whole family")


def test_a_cluster_that_is_told_to_stop_while_it_starts_ends_with_0(
    starting: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    until(lambda: children(starting.pid), "the start of the sentinel")
    os.killpg(starting.pid, signal.SIGTERM)
    assert starting.wait(PATIENCE_S) == 0, (tmp_path / "worker.log").read_text()
