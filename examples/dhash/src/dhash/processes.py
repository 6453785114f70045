"""The processes of one environment, found by a mark in their environment rather than by a file that may be stale."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT_MARK = "DHASH_SERVICE_ROOT"
LAUNCH_MARK = "DHASH_LAUNCH"
PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A living process of the service; launch tells one start from another."""

    pid: int
    parent: int
    launch: str


def supported() -> bool:
    """Tell whether processes can be found here."""
    return (PROC / "self" / "environ").exists()


def of_root(root: Path) -> list[Process]:
    """Return the living processes that serve the environment at this (resolved) root."""
    entries = (entry for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for entry in entries if (process := _read(entry, str(root))) is not None]


def masters(found: Iterable[Process]) -> list[Process]:
    """Return those that are no child of another process of the same launch."""
    found = list(found)
    pids = {(process.pid, process.launch) for process in found}
    return [process for process in found if (process.parent, process.launch) not in pids]


def send(found: Iterable[Process], number: signal.Signals) -> None:
    """Signal each process; one that has ended meanwhile is no error."""
    for process in found:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def end(find: Callable[[], list[Process]], *, patience_s: float) -> bool:
    """End what `find` finds: TERM to the masters, KILL to all after patience_s; return False if something remains."""
    send(masters(find()), signal.SIGTERM)
    if wait_until(lambda: not find(), timeout_s=patience_s):
        return True
    send(find(), signal.SIGKILL)
    return wait_until(lambda: not find(), timeout_s=5.0)


def wait_until(condition: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05) -> bool:
    """Return whether the condition came true within timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def _read(entry: Path, root: str) -> Process | None:
    try:
        raw = (entry / "environ").read_bytes()  # empty for a zombie, which is gone for our purpose
        if ROOT_MARK.encode() not in raw:
            return None
        pairs = dict(item.partition("=")[::2] for item in os.fsdecode(raw).split("\0"))
        if pairs.get(ROOT_MARK) != root:
            return None
        after_name = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # ended while we looked, or another user's
    return Process(pid=int(entry.name), parent=int(after_name[1]), launch=pairs.get(LAUNCH_MARK, ""))
