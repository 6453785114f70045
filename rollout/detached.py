"""The detached process that runs one argv while it holds the target's lock; standard library only.

`runner.py` starts it as a script, with -I. It imports one neighbour, before it says that it started.
1. `started.json` is durable before the command starts; the command inherits the lock's descriptor;
2. output is captured as it comes, without the secrets of our environment, and cut off at a limit;
3. `exit.json` is durable before the lock is let go, explicitly, because a daemon that the command left behind may
   still hold the descriptor.
A time-out or a cancel ends the command's process group, and whatever else came from it and still holds the lock. On a
full disk the ballast is freed to record an outcome. An fsync that failed is never tried again: this process ends, and
then nobody saw how the command did.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # -I leaves it out

from rollout.capture import OUTPUT, OUTPUT_LIMIT_BYTES, Capture

__all__ = ["OUTPUT", "OUTPUT_LIMIT_BYTES"]
COMMAND, STARTED, EXIT, CANCEL = "command.json", "started.json", "exit.json", "cancel"
ALIVE = "alive.lock"  # held by this process, and by nothing that it starts
GRACE_S, LOOK_S = 10, 0.02
# A full disk is waited for so long (seconds) before an outcome is given up.
FULL_S = 60
# Tells the command which descriptor holds the lock; drivers/argv.py knows the name as well.
LOCK = "GR_LOCK_DESCRIPTOR"
# Tells us, and a step, which files to remove, one a line, so that an outcome finds room on a full disk.
BALLAST = "GR_BALLAST"
PR_SET_CHILD_SUBREAPER = 36


def main(folder: Path, descriptor: int) -> None:
    """Run the command of a folder and record how it ended."""
    fcntl.flock(open_lock(folder / ALIVE), fcntl.LOCK_EX)
    command = read(folder / COMMAND) or {}
    begun = time.monotonic()
    if (folder / CANCEL).exists():
        ended: dict[str, Any] = {"code": None, "cancelled": True}  # before it began: nothing is started
    else:
        _record(folder / STARTED, {"runner_pid": os.getpid(), "at": time.time(), **moment()}, command)
        ended = _execute(folder, command, descriptor)
    seconds = round(time.monotonic() - begun, 3)
    _record(folder / EXIT, {**ended, "seconds": seconds, "at": time.time()}, command)
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _execute(folder: Path, command: Mapping[str, Any], descriptor: int) -> dict[str, Any]:
    _adopt_orphans()
    try:
        capture = Capture(folder)
        process = _popen(capture.sink, command, descriptor)
    except (OSError, KeyError) as error:
        return {"code": 127, "error": f"{error}"}
    deadline = moment()["boottime_s"] + command["timeout_s"]
    ended: dict[str, Any] = {"timed_out": False, "cancelled": False, "truncated": False}
    while process.poll() is None:
        if (why := _reason_to_end(folder, deadline, capture)) is not None:
            ended[why] = True
            _end(process, capture, descriptor)
        _wait(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what the command left in its group must not act after the unlock
    capture.close()
    return {**ended, "code": process.returncode}


def _popen(sink: int, command: Mapping[str, Any], descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command["argv"],
        cwd=command["cwd"],
        env={**command["env"], LOCK: str(descriptor)},
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        pass_fds=[descriptor],
        start_new_session=True,
        umask=0o077,
    )


def _adopt_orphans() -> None:
    """Stay the ancestor of all that the command starts, also of what leaves its session (Linux; elsewhere nothing)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reason_to_end(folder: Path, deadline: float, capture: Capture) -> str | None:
    if (folder / CANCEL).exists():
        return "cancelled"
    if moment()["boottime_s"] > deadline:
        return "timed_out"
    return "truncated" if capture.follow() else None


def _end(process: subprocess.Popen[bytes], capture: Capture, descriptor: int) -> None:
    """TERM the whole process group, KILL what is left of it after a grace time, and who else holds the lock."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        until = time.monotonic() + GRACE_S
        while process.poll() is None and time.monotonic() < until:
            capture.follow()
            _wait(process)
    for _ in range(100):  # one that is being killed may just have started another
        holders = _holders(descriptor)
        for pid in holders:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not holders:
            return
        time.sleep(LOOK_S)


def _wait(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LOOK_S)


def _holders(descriptor: int) -> list[int]:
    """Return our descendants that hold the lock: they may still change the target. A daemon does not hold it."""
    lock, children = os.fstat(descriptor), _children()
    found, pending = [], list(children.get(os.getpid(), ()))
    while pending:
        pid = pending.pop()
        pending += children.get(pid, ())
        with contextlib.suppress(OSError):
            if any(is_same(entry, lock) for entry in Path(f"/proc/{pid}/fd").iterdir()):
                found.append(pid)
    return found


def is_same(descriptor: Path, lock: os.stat_result) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), lock)
    except OSError:
        return False


def _children() -> dict[int, list[int]]:
    """Return the processes of this machine by their parent; nothing where there is no /proc."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(entry.parent.name))
    return found


def moment() -> dict[str, Any]:
    """Return a moment that only a restart of the machine sets back: the clock counts time asleep, too."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return {"boot_id": boot.read_text().strip() if boot.exists() else "", "boottime_s": time.clock_gettime(clock)}


def free_ballast(paths: str) -> bool:
    """Make room by removing the first ballast, one a line, that is there; return False when all are gone already."""
    for path in paths.splitlines():
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
            return True
    return False


def is_full(error: OSError) -> bool:
    """Say whether an error means that there is no room: to try again is right then, and after no other one."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def open_lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _record(path: Path, document: Mapping[str, Any], command: Mapping[str, Any]) -> None:
    """Write durably, on a full disk with the help of the ballast; an outcome that is lost stops a rollout."""
    until = time.monotonic() + FULL_S
    while True:
        try:
            return write(path, document)
        except OSError as error:
            if not is_full(error) or time.monotonic() > until:
                raise
        if not free_ballast(command.get("ballast", "")):
            time.sleep(1)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON durably: temporary file, fsync, rename, fsync of the directory (this file imports no neighbour)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as out:
            json.dump(document, out)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
