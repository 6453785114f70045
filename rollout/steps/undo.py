"""Keeps the state that a rollback replaces as well as it can: checked, else raw, else not at all; never in its way."""

import contextlib
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rollout.archive import dump, raw, reader, writer
from rollout.archive.errors import BackupError
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.intent import Intent, Outcome
from rollout.steps.frame import Frame
from rollout.target import CURRENT, TargetSpec

# Together less than the step's time-out of an hour: a runner that ends the step would end the rollback with it.
STRICT_S, RAW_S = 2400, 900
SPARE_BYTES = 64 << 20
GOES_ON = "The restore goes on: bringing the service back is worth more"


def run(intent: Intent, frame: Frame, strict: Callable[[Intent, Frame], Outcome]) -> Outcome:
    """Return an outcome that is always ok; what it could not do stands in its sentence and in facts["warning"]."""
    try:
        with _at_most(STRICT_S):
            outcome = strict(intent, frame)
    except Exception as error:  # whatever it is: the state is damaged, and this must not stop the restore
        why = _words(error)
        frame.log(f"no checked undo copy: {why}")
        outcome = _raw(intent, frame, why)
    return _leave_room(intent, frame, outcome)


def _raw(intent: Intent, frame: Frame, why: str) -> Outcome:
    target = intent.target
    try:
        live = DRIVERS[target.driver].live(target)
        release = version_of(live) or intent.live_version
        spec = raw.RawSpec(
            component=target.component,
            environment=target.environment,
            release=release,
            root=target.root_path,
            paths=_paths(target, live, release),
            postgresql=target.postgresql,
            why=why,
        )
        with _at_most(RAW_S):
            report, faults = raw.save(spec, Path(intent.backups), now=datetime.now(UTC), log=frame.log)
    except Exception as error:  # as above: no room, no rights, a broken disk
        return _none(f"{why}. A raw copy failed too: {_words(error)}")
    left_out = f" {len(faults)} part(s) of it are missing or not whole: {'; '.join(faults[:3])}." if faults else ""
    warning = f"WARNING: only a raw, unchecked undo copy was kept, because the checked one failed: {why}.{left_out}"
    return Outcome(
        result="ok",
        sentence=f"{warning} {report.path.name}: {report.members} members, {report.size} bytes. {GOES_ON}",
        facts={
            "path": str(report.path),
            "sha256": report.sha256,
            "size": report.size,
            "members": report.members,
            "rows": {},
            "release_version": release,
            "kind": "undo",
            "warning": warning,
        },
    )


def _none(why: str) -> Outcome:
    """Return the outcome without a copy; the empty path says that there is nothing to register."""
    warning = f"WARNING: NO undo copy was kept; what the release left is lost once it is replaced. {why.rstrip('.')}."
    return Outcome(result="ok", sentence=f"{warning} {GOES_ON}", facts={"path": "", "kind": "undo", "warning": warning})


def _paths(target: TargetSpec, live: str, release: str) -> tuple[str, ...]:
    """Return what may be there: the live release (without `current`: those of its version), directories, databases."""
    root = target.root_path
    releases = [live] if live else [f"releases/{one.name}" for one in (root / "releases").glob(f"*-{release}")]
    files = [name + suffix for name in target.sqlite for suffix in ("", *dump.SIDE_FILES)]
    wanted = dict.fromkeys([*releases, *target.directories, *files, CURRENT])
    return tuple(path for path in wanted if (root / path).exists() or (root / path).is_symlink())


def _leave_room(intent: Intent, frame: Frame, outcome: Outcome) -> Outcome:
    """Give the undo copy up again when the restore would not have the room that it takes."""
    if not outcome.facts["path"] or not intent.backup:
        return outcome
    path, root = Path(outcome.facts["path"]), intent.target.root_path
    try:
        if path.stat().st_dev != root.stat().st_dev:
            return outcome
        need = sum(member.size for member in reader.peek(Path(intent.backup)).members) + SPARE_BYTES
        free = shutil.disk_usage(root).free
        if free >= need:
            return outcome
        writer.discard(path)
    except Exception as error:  # the restore asks for itself, and says so
        frame.log(f"could not see whether the restore has room beside the undo copy: {_words(error)}")
        return outcome
    return replace(
        _none(f"It was removed again: {free} bytes were free beside it, and the restore may need {need}"),
        evidence=outcome.evidence,
    )


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what runs inside when it takes longer."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text if isinstance(error, BackupError) else f"{type(error).__name__}: {text}")[:400].rstrip(".")
