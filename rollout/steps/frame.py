"""The frame around every step: read the intent, do the work, leave an outcome; one argv, no database.

Before a step of effect does anything it hashes the bytes that were signed, and passes the target's fence.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from monitoring import storage
from rollout import detached
from rollout.archive.errors import BackupError
from rollout.drivers import fence
from rollout.drivers.base import DriverError
from rollout.intent import PROGRESS, STALE, UNTOUCHED, Intent, Outcome

# A backup up to this size (bytes) is hashed again right before the first effect, within that step's time-out; a larger
# one when the release is staged, which has more time and changes nothing.
SOON_HASHED = 1024**3
LOST = (
    "The database has lost something that this target has seen: after a failover, or when an older copy of it was put "
    "back. Nothing was done now. Look what is live and decide; what you decide goes on above that epoch"
)


class StepFailed(RuntimeError):
    """The step says no; the sentence is what an operator reads."""


class UntouchedError(StepFailed):
    """The step may not begin; nothing was done, whatever it would have done."""


class Frame:
    """What a step may use: its folder, a log that is seen live, and a progress bar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log(self, line: str) -> None:
        """Print a line with the time; the runner keeps it and the page shows it while the step runs."""
        with contextlib.suppress(OSError):  # a full disk loses the line, not the step
            print(f"{datetime.now(UTC):%H:%M:%S.%f}"[:-3], line, flush=True)

    def progress(self, percent: int) -> None:
        """Say how far the step is, in percent."""
        with contextlib.suppress(OSError):  # only shown: a full disk must not fail the step
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
        intent = _begin(folder, frame)
        outcome = work(intent, frame)
    except fence.StaleError as stale:
        outcome = Outcome(result=STALE, sentence=f"{stale}. {LOST} (docs/engine.md, The fence).")
    except UntouchedError as answer:
        outcome = Outcome(result="failed", sentence=str(answer), facts={UNTOUCHED: True})
    except (StepFailed, DriverError, BackupError) as answer:
        outcome = Outcome(result="failed", sentence=str(answer))
    except Exception as error:  # broken, not refused: the traceback is for whoever mends the step
        traceback.print_exc(file=sys.stdout)
        outcome = Outcome(result="errored", sentence=f"{type(error).__name__}: {error}")
    frame.log(f"{outcome.result}: {outcome.sentence}")
    _with_reserve(partial(outcome.write, folder))
    raise SystemExit({"ok": 0, "failed": 1}.get(outcome.result, 2))


def require_archive(intent: Intent, frame: Frame) -> None:
    """Raise StepFailed unless the release archive still is the one that was signed, if the step works with one."""
    if not intent.archive:
        return
    found = storage.sha256_of(Path(intent.archive))
    frame.log(f"release archive sha256 {found}")
    if found != intent.archive_sha256:
        raise StepFailed(f"the release archive's bytes changed: sha256 {found}, signed was {intent.archive_sha256}")


def require_evidence(intent: Intent, frame: Frame) -> None:
    """Raise StepFailed unless every file of evidence still holds the bytes that were signed."""
    for one in intent.evidence:
        found = storage.sha256_of(Path(one["path"]))
        if found != one["sha256"]:
            raise StepFailed(f"the evidence {one['name']} changed: sha256 {found}, signed was {one['sha256']}")
    if intent.evidence:
        frame.log(f"{len(intent.evidence)} files of evidence are as they were signed")


def _require_backup(intent: Intent) -> None:
    """Raise StepFailed unless the backup, which a rollback will need, still is what was taken."""
    if intent.effect and intent.backup and Path(intent.backup).stat().st_size > SOON_HASHED:
        return
    found = storage.sha256_of(Path(intent.backup)) if intent.backup else ""
    if found != intent.backup_sha256:
        raise StepFailed(f"the backup's bytes changed: sha256 {found}, taken was {intent.backup_sha256}")


def _begin(folder: Path, frame: Frame) -> Intent:
    """Return what is to be done, once it may begin; who is ended before has done nothing, and says so."""
    try:
        intent = Intent.read(folder)
        _guard(intent, frame)
    except SystemExit:
        raise UntouchedError("Ended before it began, by an abort or after its time-out. Nothing was done.")
    return intent


def _guard(intent: Intent, frame: Frame) -> None:
    try:
        if intent.effect or intent.step_kind == "stage":
            require_archive(intent, frame)
        if intent.step_kind == "stage":
            _require_backup(intent)
        if intent.effect:
            if intent.run_kind == "deploy" and fence.read(intent.target.root_path).epoch < intent.epoch:
                # once a run: before its first effect
                require_evidence(intent, frame)
                _require_backup(intent)
            _pass_fence(intent, frame)
    except (OSError, ValueError, StepFailed) as error:
        raise UntouchedError(f"{error}. Nothing was done.")


def _pass_fence(intent: Intent, frame: Frame) -> None:
    """Pass the target's fence; neither a damaged one nor a full disk may keep a rollback out."""
    root = intent.target.root_path
    enter = partial(fence.enter, root, epoch=intent.epoch, run=intent.run, token=intent.token)
    if intent.run_kind == "rollback":
        if found := fence.make_passable(root):
            frame.log(f"WARNING: {found}")
        _with_reserve(enter)
    else:
        enter()


def _with_reserve(write: Callable[[], None]) -> None:
    """Write; on a full disk give up the reserves for it, one after the other."""
    while True:
        try:
            return write()
        except OSError as error:
            if not (detached.is_full(error) and detached.free_ballast(os.environ.get(detached.BALLAST, ""))):
                raise


def _leave(number: int, frame: object) -> None:
    """Unwind when the runner ends us, so that a rehearsal stops its service and removes its scratch place."""
    raise SystemExit(128 + number)
