"""The runner, with real processes: the lock, the time-out, the cancel, the output cap, and what a killed one leaves."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import detached, runner

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

    @property
    def size(self) -> int:
        output = self.folder / runner.OUTPUT
        return output.stat().st_size if output.exists() else 0

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
    started = detached.read(place.folder / runner.STARTED)
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


ESCAPES = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}], start_new_session=True, {fds})"
LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="NO /proc: what left its group is not found")


@LINUX
def test_what_left_its_session_and_holds_the_lock_is_ended_with_the_command(place: Place) -> None:
    place.start(f"{ESCAPES.format(code=WAIT, fds='close_fds=False')}; import time; time.sleep(60)")
    pid = place.pid("pid")
    runner.cancel(place.folder)
    assert place.end()["cancelled"]
    assert is_gone(pid)


@LINUX
def test_a_daemon_that_does_not_hold_the_lock_outlives_a_cancel(place: Place) -> None:
    place.start(f"{ESCAPES.format(code=WAIT, fds='close_fds=True')}; import time; time.sleep(60)")
    pid = place.pid("pid")
    try:
        runner.cancel(place.folder)
        assert place.end()["cancelled"]
        assert not is_gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_output_does_not_stay_beyond_its_limit(place: Place) -> None:
    endless = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: os.write(1, b'x' * 65536)"
    place.start(endless)
    until(lambda: place.size > runner.OUTPUT_LIMIT_BYTES // 2)
    largest = 0
    while runner.read_exit(place.folder) is None:
        largest = max(largest, place.size)
        time.sleep(0.001)
    assert place.end()["truncated"]
    assert place.size <= runner.OUTPUT_LIMIT_BYTES
    assert largest < 20 * runner.OUTPUT_LIMIT_BYTES  # ten seconds of it would be gigabytes


def test_output_is_kept_as_the_bytes_that_were_written(place: Place) -> None:
    place.start("import os; os.write(1, bytes(range(256)))")
    place.end()
    assert (place.folder / runner.OUTPUT).read_bytes() == bytes(range(256))


def test_how_long_ago_it_was_started_is_no_matter_of_the_wall_clock(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.start("pass")
    place.end()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= runner.age_s(place.folder) < PATIENCE_S


def test_of_an_earlier_life_of_the_machine_counts_how_long_it_is_up(place: Place) -> None:
    detached.write(place.folder / runner.STARTED, {"boot_id": "another", "boottime_s": 1e9})
    assert runner.age_s(place.folder) == pytest.approx(detached.moment()["boottime_s"], abs=5)


def test_a_claim_that_was_never_started_has_an_age_too(place: Place) -> None:
    runner.stamp(place.folder)
    assert 0 <= runner.age_s(place.folder) < PATIENCE_S


def fill(monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> list[Path]:
    """Let the first writes fail with an error number; return what was tried."""
    write, tried = detached.write, []

    def failing(path: Path, document: Any) -> None:
        tried.append(path)
        if len(tried) <= times:
            raise OSError(number, os.strerror(number))
        write(path, document)

    monkeypatch.setattr(detached, "write", failing)
    return tried


def test_an_outcome_finds_room_by_the_ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ballast = tmp_path / "ballast"
    ballast.touch()
    tried = fill(monkeypatch, errno.ENOSPC, 1)
    detached._record(tmp_path / runner.EXIT, {"code": 0}, {"ballast": str(ballast)})
    assert (runner.read_exit(tmp_path), ballast.exists(), len(tried)) == ({"code": 0}, False, 2)


def test_a_full_disk_without_ballast_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch, errno.ENOSPC, 3)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    detached._record(tmp_path / runner.EXIT, {"code": 0}, {})
    assert runner.read_exit(tmp_path) == {"code": 0}


def test_a_disk_that_fails_is_never_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = fill(monkeypatch, errno.EIO, 1)
    with pytest.raises(OSError, match="Input/output error"):
        detached._record(tmp_path / runner.EXIT, {"code": 0}, {"ballast": ""})
    assert len(tried) == 1


def test_the_runner_is_told_where_the_ballast_stands(place: Place) -> None:
    with runner.lock(place.path) as lock:
        env = {"GR_BALLAST": "/somewhere/ballast"}
        lock.start(place.folder, ["true"], cwd=place.folder, env=env, timeout_s=5)
    place.end()
    assert (detached.read(place.folder / runner.COMMAND) or {})["ballast"] == "/somewhere/ballast"


def test_what_would_block_in_the_hands_of_who_holds_the_lock_is_not_called_a_held_lock(tmp_path):
    with pytest.raises(BlockingIOError), runner.lock(tmp_path / "lock"):
        raise BlockingIOError(11, "no process can be started now")
