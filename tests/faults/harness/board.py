"""What the processes of one trial share: how far the kills are, who lives, and what was reached."""

import contextlib
import mmap
import os
import shutil
import signal
import time
from pathlib import Path

from tests.faults.harness.spec import Kill

ARMED, SEEN = range(2)


class Board:
    """Shared memory for two counters, and files that every process appends whole lines to."""

    def __init__(self, folder: Path, kills: tuple[Kill, ...], *, recording: bool = False) -> None:
        self.folder, self.kills, self.recording = folder, kills, recording
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self.began = time.monotonic()

    def reach(self, role: str, name: str) -> None:
        """Count that a process came to a point, and kill when a kill waits for it."""
        if self.recording:
            self.note("reached", f"{role} {name}")
        armed = self.numbers[ARMED]
        if armed >= len(self.kills) or self.kills[armed].point != f"{role} {name}":
            return
        self.numbers[SEEN] += 1
        if self.numbers[SEEN] == self.kills[armed].count:
            self._fire(armed)

    def tick(self) -> None:
        """Do a kill that waits for a time, if the time has come."""
        armed = self.numbers[ARMED]
        if armed < len(self.kills) and self.kills[armed].is_due(time.monotonic() - self.began):
            self._fire(armed)

    @property
    def fired(self) -> int:
        """Return how many kills were done."""
        return int(self.numbers[ARMED])

    def join(self, role: str) -> None:
        """Say that this process lives, and in what part."""
        self.note("processes", f"{role} {os.getpid()} {_born(os.getpid())}")

    def lives(self, *roles: str) -> list[int]:
        """Return the processes of some parts that live, the youngest first."""
        joined = [line.split() for line in reversed(self.lines("processes"))]
        # the moment of its birth tells a process from a later one with the same number
        return [int(pid) for role, pid, born in joined if role in roles and _born(int(pid)) == born]

    def resume(self) -> None:
        """Let those go on that were stopped."""
        for pid in map(int, self.lines("stopped")):
            if pid in self.lives("worker", "runner", "command"):
                os.kill(pid, signal.SIGCONT)
        (self.folder / "stopped").unlink(missing_ok=True)

    def note(self, name: str, line: str) -> None:
        """Append a line to a file in one write, so that no other process's line gets into it."""
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def _fire(self, armed: int) -> None:
        kill = self.kills[armed]
        self.numbers[ARMED], self.numbers[SEEN] = armed + 1, 0
        if kill.victim == "stop":
            self.note("stopped", str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        if kill.victim == "all":
            pids = self.lives("worker", "runner", "command")
        elif kill.victim == "self":
            pids = self.lives("worker")[:1] if kill.point == "time" else [os.getpid()]
        else:
            pids = [pid for role in kill.victim.split("+") for pid in self.lives(role)[:1]]
        for pid in sorted(pids, key=lambda pid: pid == os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _born(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
