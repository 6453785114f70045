"""The frame around every step: read the intent, do the work, leave an outcome; one argv, no database."""

import json
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from monitoring import storage
from rollout.archive.errors import BackupError
from rollout.drivers.base import DriverError
from rollout.intent import PROGRESS, Intent, Outcome


class StepFailed(RuntimeError):
    """The step says no; the sentence is what an operator reads."""


class Frame:
    """What a step may use: its folder, a log that is seen live, and a progress bar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log(self, line: str) -> None:
        """Print a line with the time; the runner keeps it and the page shows it while the step runs."""
        print(f"{datetime.now(UTC):%H:%M:%S.%f}"[:-3], line, flush=True)

    def progress(self, percent: int) -> None:
        """Say how far the step is, in percent."""
        (self.folder / PROGRESS).write_text(json.dumps({"percent": max(0, min(100, percent))}))

    def keep(self, name: str, text: str) -> str:
        """Write a file of evidence into the step's folder and return its name."""
        storage.write_atomic(self.folder / name, text.encode())
        return name


class EvidenceLog:
    """A log that is also kept as a file of evidence."""

    def __init__(self, frame: Frame, heading: str) -> None:
        self.frame = frame
        self.lines = [heading]

    def __call__(self, line: str) -> None:
        """Log a line, and keep it."""
        self.frame.log(line)
        self.lines.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")

    def keep(self, name: str) -> str:
        """Write what was logged into the step's folder and return the file's name."""
        return self.frame.keep(name, "\n".join(self.lines) + "\n")


def main(work: Callable[[Intent, Frame], Outcome]) -> None:
    """Run a step in the folder that the command line names; exit 0 ok, 1 it said no, 2 it broke."""
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(sys.argv[1])
    frame = Frame(folder)
    try:
        outcome = work(Intent.read(folder), frame)
    except (StepFailed, DriverError, BackupError) as answer:
        outcome = Outcome(result="failed", sentence=str(answer))
    except Exception as error:  # broken, not refused: the traceback is for whoever mends the step
        traceback.print_exc(file=sys.stdout)
        outcome = Outcome(result="errored", sentence=f"{type(error).__name__}: {error}")
    frame.log(f"{outcome.result}: {outcome.sentence}")
    outcome.write(folder)
    raise SystemExit({"ok": 0, "failed": 1}.get(outcome.result, 2))


def _leave(number: int, frame: object) -> None:
    """Unwind when the runner ends us, so that a rehearsal stops its service and removes its scratch place."""
    raise SystemExit(128 + number)
