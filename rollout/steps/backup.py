"""Takes a backup of the live target and reads it back whole; or the undo copy before a restore."""

from datetime import UTC, datetime
from pathlib import Path

from rollout.archive import reader, writer
from rollout.archive.spec import BackupSpec
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.intent import Intent, Outcome
from rollout.steps.frame import Frame, StepFailed, main
from rollout.target import TargetSpec


def run(intent: Intent, frame: Frame) -> Outcome:
    """Create the archive with its .sha256, then read every member back."""
    target = intent.target
    undo = bool(intent.params.get("undo"))
    live = DRIVERS[target.driver].live(target)
    if not live:
        raise StepFailed(f"{target.root}/current is not a link to a release directory")
    report = writer.create(
        spec_of(target, live),
        Path(intent.backups),
        now=datetime.now(UTC),
        kind="undo" if undo else "backup",
        log=frame.log,
        progress=lambda percent: frame.progress(percent // 2),
    )
    contents = reader.verify(
        report.path,
        sha256=report.sha256,
        component=target.component,
        environment=target.environment,
        progress=lambda percent: frame.progress(50 + percent // 2),
    )
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
            "kind": "undo" if undo else "backup",
        },
    )


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
