"""Takes a backup of the live target and reads it back whole; or, as well as it goes, the undo copy before a restore."""

from datetime import UTC, datetime
from pathlib import Path

from rollout.archive import reader, writer
from rollout.archive.spec import BackupSpec, Contents, Kind, Report
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.intent import Intent, Outcome
from rollout.steps import undo
from rollout.steps.frame import Frame, StepFailed, main
from rollout.target import TargetSpec


def run(intent: Intent, frame: Frame) -> Outcome:
    """Create the archive with its .sha256, then read every member back; an undo copy never says no."""
    return undo.run(intent, frame, _undo) if intent.params.get("undo") else _save(intent, frame, "backup")


def _undo(intent: Intent, frame: Frame) -> Outcome:
    return _save(intent, frame, "undo")


def _save(intent: Intent, frame: Frame, kind: Kind) -> Outcome:
    target = intent.target
    live = DRIVERS[target.driver].live(target)
    if not live:
        raise StepFailed(f"{target.root}/current is not a link to a release directory")
    report = writer.create(
        spec_of(target, live),
        Path(intent.backups),
        now=datetime.now(UTC),
        kind=kind,
        log=frame.log,
        progress=lambda percent: frame.progress(percent // 2),
    )
    contents = _read_back(report, target, frame)
    frame.log(f"read back whole: {len(contents.members)} members equal to their sha256")
    return Outcome(
        result="ok",
        sentence=f"{report.path.name}: {report.members} members, {report.size} bytes, read back whole",
        facts={
            "path": str(report.path),
            "sha256": report.sha256,
            "size": report.size,
            "members": report.members,
            "rows": {database: dict(tables) for database, tables in report.rows.items()},
            "release_version": version_of(live),
            "kind": kind,
        },
    )


def _read_back(report: Report, target: TargetSpec, frame: Frame) -> Contents:
    """Read the archive whole, and remove it when that fails: nothing that cannot be read may look like a backup."""
    try:
        return reader.verify(
            report.path,
            sha256=report.sha256,
            component=target.component,
            environment=target.environment,
            progress=lambda percent: frame.progress(50 + percent // 2),
        )
    except BaseException:
        writer.discard(report.path)
        raise


def spec_of(target: TargetSpec, live: str) -> BackupSpec:
    """Return what a backup of a target holds: the live release, the declared directories and databases."""
    return BackupSpec(
        component=target.component,
        environment=target.environment,
        release=version_of(live),
        root=target.root_path,
        release_dir=live,
        directories=target.directories,
        sqlite=target.sqlite,
        postgresql=target.postgresql,
    )


if __name__ == "__main__":
    main(run)
