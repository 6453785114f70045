"""Says, before anybody clicks, what a rollback would undo: versions, migrations, rows that came since the backup."""

import sqlite3
from dataclasses import dataclass

from rollout import freezing, opening
from rollout.archive import dump
from rollout.archive.errors import BackupError
from rollout.config_reader import ComponentError
from rollout.models import Backup, Rollout
from rollout.target import TargetSpec

UNREADABLE = (
    "The configuration in force cannot be read, and a rollback by a person goes by it: load the file again first."
)


@dataclass(frozen=True, kw_only=True)
class Undo:
    """What a rollback would take away; `rows` holds (database, table, rows since the backup), most first."""

    from_version: str
    to_version: str
    backup: str
    backup_sha256: str
    migrations: tuple[str, ...]
    rows: tuple[tuple[str, str, int], ...]
    keeps_database: bool
    problem: str = ""

    @property
    def sentence(self) -> str:
        """Return the whole in one sentence, for the button."""
        parts = [f"{self.from_version} goes back to {self.to_version}"]
        if self.keeps_database:
            return f"{parts[0]}; the database is kept as it is."
        if self.migrations:
            count = len(self.migrations)
            parts.append(f"{count} migration{' is' if count == 1 else 's are'} undone")
        gone = sum(count for _, _, count in self.rows if count > 0)
        rows = "every database row" if self.problem else f"{gone} database row{'' if gone == 1 else 's'}"
        parts.append(f"{rows} written since the backup {'is' if rows.endswith('row') else 'are'} taken away")
        return ", ".join(parts) + " (what is there now is copied first, where it can be)."


def undo_of(rollout: Rollout, backup: Backup | None = None) -> Undo | None:
    """Return what rolling this rollout back would undo, or None when there is no backup to go back to.

    `backup`: the one that a person named.
    """
    backup = backup or opening.backup_of(rollout)
    if backup is None:
        return None
    target, rows, problem = _target_of(rollout), list[tuple[str, str, int]](), UNREADABLE
    if target is not None:
        rows, problem = _rows_since(backup, target)
    return Undo(
        from_version=rollout.target.live_version,
        to_version=backup.release_version,
        backup=str(backup),
        backup_sha256=backup.sha256,
        migrations=tuple(freezing.migrations_of(rollout)),
        rows=tuple(sorted(rows, key=lambda row: -row[2])),
        keeps_database=target is not None and target.database == "keep",
        problem=problem,
    )


def _target_of(rollout: Rollout) -> TargetSpec | None:
    try:
        return rollout.target.spec
    except ComponentError:
        return None


def _rows_since(backup: Backup, target: TargetSpec) -> tuple[list[tuple[str, str, int]], str]:
    """Return (database, table, rows more than in the backup) where there are any; and what could not be counted."""
    rows, problem = [], ""
    for database, before in backup.rows.items():
        if database not in target.sqlite:
            continue
        try:
            changes = dump.changes(before, dump.row_counts(target.root_path / database))
        except (BackupError, OSError, sqlite3.Error) as error:
            problem = f"{database} could not be read: {error}"
            continue
        rows += [(database, table, count) for table, count in changes.items() if count]
    return rows, problem
