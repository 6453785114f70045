"""Starts a command that outlives us, under the target's lock, and sees how it stands; standard library only.

A command outlives a killed worker, and a redelivered task would start it twice (RELIABILITY.md finding 3). So:
1. the worker takes flock on the target's lock file, makes the intent durable, and only then claims the step;
2. it starts `detached.py` as a process of its own session, with the locked descriptor;
3. that process says `started.json` before and `exit.json` after the command, and then lets go of the lock.
Who finds the lock free therefore knows that nobody is at it, whatever time it is.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rollout import detached
from rollout.detached import ALIVE, BALLAST, CANCEL, COMMAND, EXIT, OUTPUT, OUTPUT_LIMIT_BYTES, STARTED, main

__all__ = ["BALLAST", "COMMAND", "EXIT", "OUTPUT", "OUTPUT_LIMIT_BYTES", "STARTED", "main"]

CLAIMED = "claimed.json"


class BusyError(RuntimeError):
    """Another process holds the target's lock."""


class TargetLock:
    """A held flock; `start` hands it to a runner, after which this process no longer holds it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def start(self, folder: Path, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: int) -> None:
        """Start `argv` under a runner that outlives us; `folder` holds what is known of it."""
        command = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "timeout_s": timeout_s}
        command["ballast"] = env.get(BALLAST, "")
        detached.write(folder / COMMAND, command)
        subprocess.Popen(
            [sys.executable, "-I", detached.__file__, str(folder), str(self.descriptor)],
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
    descriptor = detached.open_lock(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{path.name} is held by another process")
        yield TargetLock(descriptor)
    finally:
        os.close(descriptor)  # a runner that was started has a copy, and with it the lock


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock file."""
    descriptor = detached.open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who only look do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holders(path: Path) -> list[str]:
    """Return the processes that have a lock file open, as far as /proc tells us, by id and name."""
    wanted, found = path.stat(), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(detached.is_same(entry, wanted) for entry in (process / "fd").iterdir()):
                found.append(f"{process.name} ({(process / 'comm').read_text(errors='replace').strip()})")
    return sorted(found)


def is_alive(folder: Path) -> bool:
    """Say whether the runner of a folder still runs, whatever became of its command."""
    return is_held(folder / ALIVE)


def read_exit(folder: Path) -> dict[str, Any] | None:
    """Return how the command ended: code, seconds, timed_out, cancelled; None while that is not known."""
    return detached.read(folder / EXIT)


def was_started(folder: Path) -> bool:
    """Say whether the runner came as far as to start the command."""
    return (folder / STARTED).exists()


def stamp(folder: Path) -> None:
    """Note in a folder when its attempt was claimed, for `age_s`."""
    detached.write(folder / CLAIMED, detached.moment())


def age_s(folder: Path) -> float:
    """Return how long ago (seconds) the command was started, or claimed; no jump of the wall clock changes it.

    Of an earlier life of the machine: how long the machine is up.
    """
    now = detached.moment()
    for name in (STARTED, CLAIMED):
        seen = detached.read(folder / name)
        if seen is not None:
            same = seen.get("boot_id") == now["boot_id"]
            return float(now["boottime_s"]) - (float(seen.get("boottime_s", 0)) if same else 0.0)
    return 0.0


def cancel(folder: Path) -> None:
    """Ask the runner to end the command's process group."""
    (folder / CANCEL).touch()
