"""`python -m dhash.migrate`: brings the environment's database to this release's numbered SQL; idempotent."""

import hashlib
import os
import sqlite3
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dhash import database, settings

TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at REAL NOT NULL
)
"""


class MigrationError(Exception):
    """A migration cannot be applied; the message says which and why. The database is as before that migration."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One numbered file of SQL."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Return the sha256 of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path) -> list[Migration]:
    """Return the directory's migrations in order; raise MigrationError on a gap or a bad name."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        if not (number.isdigit() and len(number) == 4 and name):
            raise MigrationError(f"{path.name}: expected a name such as 0001_initial.sql")
        found.append(Migration(number=int(number), name=path.stem, sql=path.read_text(encoding="utf-8")))
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(numbers) + 1)):
        raise MigrationError(f"{directory}: expected numbers 1 to {len(numbers)} without a gap, found {numbers}")
    return found


def apply(connection: sqlite3.Connection, wanted: list[Migration]) -> list[Migration]:
    """Apply what is missing, each in its own transaction; return what was applied."""
    connection.execute(TABLE)
    recorded = {row["number"]: row for row in connection.execute("SELECT * FROM schema_migrations")}
    for migration in wanted:
        row = recorded.get(migration.number)
        if row is not None and row["sha256"] != migration.sha256:
            raise MigrationError(
                f"{migration.name}: the database has it with sha256 {row['sha256'][:12]}…, this release's file has"
                f" {migration.sha256[:12]}…; an applied migration must not be edited, add a new one"
            )
    missing = [migration for migration in wanted if migration.number not in recorded]
    for migration in missing:
        _apply_one(connection, migration)
    return missing


def applied_number(connection: sqlite3.Connection) -> int:
    """Return the highest applied number, 0 for a database without migrations."""
    try:
        row = connection.execute("SELECT MAX(number) FROM schema_migrations").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] or 0


def statements(sql: str) -> list[str]:
    """Split SQL into statements, so that they run inside our transaction (executescript would commit it)."""
    found, part = [], ""
    for line in sql.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            found.append(part.strip())
            part = ""
    return [*found, part.strip()] if part.strip() else found


def _apply_one(connection: sqlite3.Connection, migration: Migration) -> None:
    try:
        with database.writing(connection):
            for statement in statements(migration.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
                (migration.number, migration.name, migration.sha256, time.time()),
            )
    except sqlite3.Error as error:
        raise MigrationError(f"{migration.name}: {error}; nothing of it was applied") from error


def main() -> int:
    """Migrate the database that the environment names and print what was done."""
    try:
        configured = settings.load()
        wanted = read_migrations(settings.RELEASE_DIR / "migrations")
        os.umask(0o077)
        configured.database.parent.mkdir(parents=True, exist_ok=True)
        connection = database.connect(configured.database)
        try:
            before = applied_number(connection)
            print(f"dhash {configured.version}: {configured.database} is at {before:04d}")
            for migration in apply(connection, wanted):
                print(f"applied {migration.name} (sha256 {migration.sha256})")
            after = applied_number(connection)
            if after > len(wanted):
                print(f"note: the database is ahead of this release, which knows up to {len(wanted):04d}")
            print(f"now at {after:04d}" if after != before else "nothing to do")
        finally:
            connection.close()
    except (settings.SettingsError, MigrationError, sqlite3.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
