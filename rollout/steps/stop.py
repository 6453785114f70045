"""Stops everything that writes, so that what is saved and restored next holds still."""

import time
from collections.abc import Iterator
from pathlib import Path

from rollout.archive import reader
from rollout.archive.errors import BackupError
from rollout.drivers import DRIVERS, argv
from rollout.drivers.base import version_of
from rollout.drivers.ports import listens
from rollout.intent import Intent, Outcome
from rollout.steps import health
from rollout.steps.frame import Frame, StepFailed, main
from rollout.target import TargetSpec

COMMAND_S = 90
PATIENCE_S = 5.0
PAUSE_S = 0.1


def run(intent: Intent, frame: Frame) -> Outcome:
    """Run the stop command of the live release, else of the one that comes back; see that nothing answers any more.

    A release that is being rolled back may be too broken to stop itself. When no stop command works but nothing
    answers or listens, the service is down already, and that is accepted with a warning.
    """
    target = intent.target
    problems: list[str] = []
    for release_dir in _places(intent, frame, problems):
        done = argv.run(
            target,
            "stop",
            release_dir=target.root_path / release_dir,
            version=version_of(release_dir),
            log=frame.log,
            timeout_s=COMMAND_S,
        )
        up = _still_up(target) if done.ok else ""
        if done.ok and not up:
            return _stopped(release_dir, problems)
        problems.append(f"{release_dir}: {up} after stop" if up else _exited(release_dir, done))
        frame.log(problems[-1])
    up = _still_up(target)
    if up:
        raise StepFailed(
            f"{target.name} could not be stopped: it {up}, on port {target.port} ({'; '.join(problems)}). "
            "End the process that holds the port by hand, then roll back again; nothing was restored"
        )
    warning = f"WARNING: no stop command worked ({'; '.join(problems)})"
    return Outcome(
        result="ok",
        sentence=f"{warning}; nothing answers or listens on port {target.port}, so the service is down",
        facts={"warning": warning},
    )


def _stopped(release_dir: str, problems: list[str]) -> Outcome:
    if not problems:
        return Outcome(result="ok", sentence="the service is stopped")
    warning = f"WARNING: stopped by {release_dir}, because the live release could not ({'; '.join(problems)})"
    return Outcome(result="ok", sentence=f"the service is stopped. {warning}", facts={"warning": warning})


def _places(intent: Intent, frame: Frame, problems: list[str]) -> Iterator[str]:
    """Yield the release directories on the disk whose stop command may work; what is missing is a problem to tell."""
    root, live = intent.target.root_path, DRIVERS[intent.target.driver].live(intent.target)
    if live and (root / live).is_dir():
        yield live
    else:
        problems.append(f"current leads to {live}, which is gone" if live else "there is no current release")
    saved = _saved(intent, frame)
    if saved and saved != live and (root / saved).is_dir():
        yield saved


def _saved(intent: Intent, frame: Frame) -> str:
    if not intent.backup:
        return ""
    try:
        return reader.peek(Path(intent.backup)).release_dir
    except (BackupError, OSError) as error:
        frame.log(f"the backup does not say which release comes back: {error}")
        return ""


def _exited(release_dir: str, done: argv.Done) -> str:
    return f"{release_dir}: stop exited with {done.code}: {done.last_line}"


def _still_up(target: TargetSpec) -> str:
    """Return "" when nothing answers or listens any more, otherwise what does."""
    if not health.check(target):
        return "still answers"
    deadline = time.monotonic() + PATIENCE_S
    while listens(target.host, target.port):
        if time.monotonic() > deadline:
            return "still has a process listening"
        time.sleep(PAUSE_S)
    return ""


if __name__ == "__main__":
    main(run)
