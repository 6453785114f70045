"""A command that leaves a daemon behind is started once, though its runner and its step were killed."""

import subprocess
import sys
from pathlib import Path

from rollout import runner
from rollout.drivers import guardian
from tests.faults.proc import lives, wait_for


def guarded(lock: Path, descriptor: int, command: str) -> subprocess.Popen[bytes]:
    """Start a command under its guardian, as a step that is killed leaves it."""
    argv_ = [sys.executable, "-I", guardian.__file__, str(descriptor), sys.executable, "-c", command, str(lock)]
    return subprocess.Popen(argv_, pass_fds=[descriptor], stdout=subprocess.PIPE)


TELLS_AND_WAITS = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
LEAVES_A_DAEMON = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True); print(1)"


def test_a_start_that_nobody_waits_for_any_more_still_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with runner.lock(path) as held:
        process = guarded(path, held.descriptor, TELLS_AND_WAITS)
    assert process.stdout and process.stdout.readline().strip().isdigit()
    assert runner.is_held(path)
    process.kill()
    process.communicate()
    assert not runner.is_held(path)


def test_a_start_ends_with_its_guardian(tmp_path: Path) -> None:
    with runner.lock(tmp_path / "lock") as held:
        process = guarded(tmp_path / "lock", held.descriptor, TELLS_AND_WAITS)
    assert process.stdout
    started = int(process.stdout.readline())
    process.kill()
    process.communicate()  # until the command has closed its end, too
    wait_for(lambda: not lives(started), "the end of the command")


def test_the_daemon_that_a_start_leaves_behind_does_not_hold_the_lock(tmp_path: Path) -> None:
    with runner.lock(tmp_path / "lock") as held:
        command = LEAVES_A_DAEMON.replace("'60'", "'5'")
        process = guarded(tmp_path / "lock", held.descriptor, command)
    assert process.wait(20) == 0
    assert not runner.is_held(tmp_path / "lock")


def test_a_guarded_command_that_is_not_there_exits_with_127(tmp_path: Path) -> None:
    with runner.lock(tmp_path / "lock") as held:
        argv = [sys.executable, "-I", guardian.__file__, str(held.descriptor), "/no/such/program"]
        done = subprocess.run(argv, pass_fds=[held.descriptor], capture_output=True, check=False)
    assert (done.returncode, done.stdout[:20]) == (127, b"could not be started")


def test_a_guarded_command_that_a_signal_ended_says_so(tmp_path: Path) -> None:
    with runner.lock(tmp_path / "lock") as held:
        process = guarded(tmp_path / "lock", held.descriptor, "import os; os.kill(os.getpid(), 15)")
    assert process.wait(20) == 128 + 15
