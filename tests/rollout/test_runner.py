"""The runner, with real processes: the lock, the time-out, the cancel, the output cap, and what a killed one leaves."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import runner

pytestmark = pytest.mark.slow
PATIENCE_S = 20.0


def until(holds: Callable[[], Any]) -> Any:
    """Return what `holds` returns as soon as that is true; fail after a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found


class Place:
    """A lock file and a step's folder."""

    def __init__(self, root: Path) -> None:
        self.path, self.folder = root / "locks" / "t.lock", root / "step"
        self.folder.mkdir()

    def start(self, code: str, *, timeout_s: float = 30) -> None:
        """Run Python code under a runner."""
        with runner.lock(self.path) as lock:
            lock.start(self.folder, [sys.executable, "-c", code], cwd=self.folder, env={}, timeout_s=timeout_s)  # type: ignore[arg-type]

    def end(self) -> dict[str, Any]:
        """Wait until the command ended and the lock is free; return how."""
        ended = until(lambda: runner.read_exit(self.folder))
        until(lambda: not runner.is_held(self.path))
        return dict(ended)

    @property
    def output(self) -> str:
        return (self.folder / runner.OUTPUT).read_text()

    def pid(self, name: str) -> int:
        """Return the process id that the code wrote into a file."""
        return int(until(lambda: (self.folder / name).exists() and (self.folder / name).read_text()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a place; whatever still runs there is cancelled afterwards."""
    made = Place(tmp_path)
    yield made
    runner.cancel(made.folder)


WAIT = "import time, os; open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid'); time.sleep(60)"


def is_gone(pid: int) -> bool:
    """Say whether a process has ended; a zombie, whose parent is gone or busy, has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_command_that_ends_leaves_its_code_and_its_output(place: Place) -> None:
    place.start("import sys; print('hello'); sys.exit(3)")
    assert (place.end()["code"], place.output) == (3, "hello\n")


def test_a_second_command_is_refused_while_the_first_runs(place: Place) -> None:
    place.start(WAIT)
    with pytest.raises(runner.BusyError, match=r"t\.lock is held"), runner.lock(place.path):
        pass


def test_two_who_look_at_a_free_lock_see_it_free(place: Place) -> None:
    with runner.lock(place.path):
        assert runner.is_held(place.path)
    assert not runner.is_held(place.path)


def test_a_time_out_kills_the_whole_group(place: Place) -> None:
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', \"" + WAIT.replace('"', "'") + '"]).wait()'
    place.start(child, timeout_s=1)
    pid = place.pid("pid")
    assert place.end()["timed_out"]
    until(lambda: is_gone(pid))


def test_a_cancel_ends_the_command(place: Place) -> None:
    place.start(WAIT)
    place.pid("pid")
    runner.cancel(place.folder)
    ended = place.end()
    assert (ended["cancelled"], ended["code"]) == (True, -signal.SIGTERM)


def test_a_command_that_was_cancelled_before_it_began_is_never_started(place: Place) -> None:
    runner.cancel(place.folder)
    place.start("open('ran', 'w')")
    assert place.end()["cancelled"]
    assert not runner.was_started(place.folder)
    assert not (place.folder / "ran").exists()


def test_a_command_that_ignores_the_polite_signal_is_killed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.start(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}")
    place.pid("pid")
    runner.cancel(place.folder)
    assert place.end()["code"] == -signal.SIGKILL


def test_endless_output_is_cut_off(place: Place) -> None:
    place.start("while True: print('x' * 100000)")
    assert place.end()["truncated"]


def test_a_command_that_is_not_there_ends_with_127(place: Place) -> None:
    with runner.lock(place.path) as lock:
        lock.start(place.folder, ["/no/such/command"], cwd=place.folder, env={}, timeout_s=5)
    assert place.end()["code"] == 127


def test_a_daemon_that_the_command_left_behind_does_not_keep_the_lock(place: Place) -> None:
    how = "start_new_session=True, close_fds=False"
    place.start(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAIT!r}], {how})")
    pid = place.pid("pid")
    try:
        assert place.end()["code"] == 0
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_command_whose_runner_is_killed_keeps_the_lock_until_it_ends(place: Place) -> None:
    place.start(WAIT)
    pid = place.pid("pid")
    started = runner._read(place.folder / runner.STARTED)
    assert started is not None
    os.kill(started["runner_pid"], signal.SIGKILL)
    until(lambda: not runner.is_alive(place.folder))
    assert runner.is_held(place.path)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not runner.is_held(place.path))
    assert (runner.was_started(place.folder), runner.read_exit(place.folder)) == (True, None)


def test_a_runner_that_works_is_alive(place: Place) -> None:
    place.start(WAIT)
    place.pid("pid")
    assert runner.is_alive(place.folder)
