"""A detached process that holds the target's lock and runs one argv; standard library only.

A command outlives a killed worker, and a redelivered task would start it twice (RELIABILITY.md finding 3). So:
1. the worker takes flock on the target's lock file, and only then claims the step and writes the intent;
2. it starts this file as a process of its own session, with the locked descriptor;
3. that process makes `started.json` durable before it starts the command, and passes the descriptor on;
4. it captures the output, makes `exit.json` durable, and only then unlocks, explicitly, because a daemon that the
   command left behind may still hold the descriptor.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND, STARTED, EXIT, CANCEL, OUTPUT = "command.json", "started.json", "exit.json", "cancel", "output.log"
ALIVE = "alive.lock"  # held by the runner itself, and by nothing that it starts
GRACE_S = 10
# Tells the command which descriptor holds the lock; drivers/argv.py knows the name as well.
LOCK = "GR_LOCK_DESCRIPTOR"
OUTPUT_LIMIT_BYTES = 16 * 1024**2


class BusyError(RuntimeError):
    """Another process holds the target's lock."""


class TargetLock:
    """A held flock; `start` hands it to a runner, after which this process no longer holds it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def start(self, folder: Path, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: int) -> None:
        """Start `argv` under a runner that outlives us; `folder` holds what is known of it."""
        command = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "timeout_s": timeout_s}
        _write(folder / COMMAND, command)
        subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).resolve()), str(folder), str(self.descriptor)],
            pass_fds=[self.descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "runner.log").open("ab"),
            start_new_session=True,
            cwd="/",
        )


@contextlib.contextmanager
def lock(path: Path) -> Iterator[TargetLock]:
    """Hold the lock file `path`; raise BusyError when another process does."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield TargetLock(descriptor)
    except BlockingIOError:
        raise BusyError(f"{path.name} is held by another process")
    finally:
        os.close(descriptor)  # a runner that was started has a copy, and with it the lock


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock file."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who only look do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(folder: Path) -> bool:
    """Say whether the runner of a folder still runs, whatever became of its command."""
    return is_held(folder / ALIVE)


def read_exit(folder: Path) -> dict[str, Any] | None:
    """Return how the command ended: code, seconds, timed_out, cancelled; None while that is not known."""
    return _read(folder / EXIT)


def was_started(folder: Path) -> bool:
    """Say whether the runner came as far as to start the command."""
    return (folder / STARTED).exists()


def cancel(folder: Path) -> None:
    """Ask the runner to end the command's process group."""
    (folder / CANCEL).touch()


def main(folder: Path, descriptor: int) -> None:
    """Run the command of a folder and record how it ended."""
    fcntl.flock(_open(folder / ALIVE), fcntl.LOCK_EX)
    begun = time.monotonic()
    if (folder / CANCEL).exists():
        ended: dict[str, Any] = {"code": None, "cancelled": True}  # before it began: nothing is started
    else:
        _write(folder / STARTED, {"runner_pid": os.getpid(), "at": time.time()})
        ended = _run(folder, descriptor)
    _write(folder / EXIT, {**ended, "seconds": round(time.monotonic() - begun, 3), "at": time.time()})
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _run(folder: Path, descriptor: int) -> dict[str, Any]:
    try:
        return _execute(folder, _read(folder / COMMAND) or {}, descriptor)
    except OSError as error:
        return {"code": 127, "error": str(error)}


def _execute(folder: Path, command: Mapping[str, Any], descriptor: int) -> dict[str, Any]:
    with (folder / OUTPUT).open("ab") as output:
        process = subprocess.Popen(
            command["argv"],
            cwd=command["cwd"],
            env={**command["env"], LOCK: str(descriptor)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[descriptor],
            start_new_session=True,
            umask=0o077,
        )
    deadline = time.monotonic() + command["timeout_s"]
    ended: dict[str, Any] = {"timed_out": False, "cancelled": False, "truncated": False}
    while process.poll() is None:
        if (why := _reason_to_end(folder, deadline)) is not None:
            ended[why] = True
            _end_group(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what the command left in its group must not act after the unlock
    return {**ended, "code": process.returncode}


def _reason_to_end(folder: Path, deadline: float) -> str | None:
    if (folder / CANCEL).exists():
        return "cancelled"
    if time.monotonic() > deadline:
        return "timed_out"
    if (folder / OUTPUT).stat().st_size > OUTPUT_LIMIT_BYTES:
        return "truncated"
    return None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """TERM the whole process group, and KILL what is left of it after a grace time."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON durably: temporary file, fsync, rename, fsync of the directory (this file imports no neighbour)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as out:
        json.dump(document, out)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
