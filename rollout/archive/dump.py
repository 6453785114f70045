"""Copies and restores databases: SQLite by its online backup, PostgreSQL by pg_dump and pg_restore."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from rollout.archive.errors import BackupError, CorruptBackup

SIDE_FILES = ("-wal", "-shm", "-journal")
TOOL_SECONDS = 3600
BUSY_SECONDS = 30
VERSION_SECONDS = 10
# as in "pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"
VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def sqlite_copy(source: Path, dest: Path) -> None:
    """Copy a live SQLite database, as of one moment, into the new file `dest`, and check the copy's integrity.

    Raises BackupError when the source is missing or cannot be read, CorruptBackup when the copy is damaged.
    """
    if not source.is_file() or source.is_symlink():
        raise BackupError(f"the database {source} does not exist or is a link; correct `sqlite` in component.toml")
    try:
        with closing(_open(source, "mode=ro")) as live, closing(sqlite3.connect(dest)) as copy:
            # All pages in one step: a busy writer would make a copy in small steps begin again for ever.
            live.backup(copy, pages=-1)
    except sqlite3.Error as error:
        raise BackupError(f"the database {source} cannot be copied: {error}; see whether it is locked or damaged")
    check_integrity(dest)


def check_integrity(path: Path) -> None:
    """Raise CorruptBackup unless SQLite finds the file, which nobody else may have open, sound."""
    try:
        with closing(_open(path, "immutable=1")) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise CorruptBackup(f"the copy of the database {path.name} is damaged: {'; '.join(found)}; repair the original")


def row_counts(path: Path) -> dict[str, int]:
    """Return how many rows each table of a SQLite database holds; reads only."""
    try:
        with closing(_open(path, "mode=ro")) as connection:
            connection.execute("BEGIN")
            listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            tables = [row[0] for row in connection.execute(f"{listed} ORDER BY name")]
            return {table: _count(connection, table) for table in tables}
    except sqlite3.Error as error:
        raise BackupError(f"the rows of {path} cannot be counted: {error}; see whether it is locked or damaged")


def changes(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Return by how many rows each table grew (or shrank) between two counts; only tables that changed."""
    names = sorted({*before, *now})
    return {name: now.get(name, 0) - before.get(name, 0) for name in names if now.get(name) != before.get(name)}


def pg_dump(url: str, dest: Path) -> dict[str, int]:
    """Dump a PostgreSQL database, as of one moment, into the new file `dest`; return its rows by table then."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        found = connection.execute("SELECT pg_export_snapshot()").fetchone()
        snapshot = str(found[0]) if found else ""
        _run(["pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={dest}"], url)
        rows = _pg_count(connection)
    if not dest.is_file() or dest.stat().st_size == 0:
        raise BackupError(f"pg_dump ended well but wrote nothing to {dest.name}; see whether it is the real pg_dump")
    _run(["pg_restore", "--list", "--file", os.devnull, str(dest)], None)
    return rows


def pg_restore(url: str, source: Path) -> None:
    """Make a PostgreSQL database hold what the dump `source` holds, and nothing else; safe to run again."""
    with psycopg.connect(url, autocommit=True) as connection:
        listed = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        for (schema,) in connection.execute(listed).fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
    _run(["pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", str(source)], url)


def client_version() -> int:
    """Return the major version of the pg_dump that is installed; 0 when none can be run."""
    try:
        done = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = VERSION.search(done.stdout)
    return int(found[1]) if found else 0


def pg_row_counts(url: str) -> dict[str, int]:
    """Return how many rows each table of a PostgreSQL database holds, at one moment."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return _pg_count(connection)


def without_password(url: str) -> str:
    """Return a database URL without its password, as it may be shown and stored."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}@{place}" if name else place, query=""))


def _open(path: Path, query: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608 - quoted, from the schema


def _pg_count(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, int]:
    listed = (
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema' ORDER BY 1, 2"
    )
    rows: dict[str, int] = {}
    for schema, table in connection.execute(listed).fetchall():
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(str(schema), str(table)))
        found = connection.execute(query).fetchone()
        rows[f"{schema}.{table}"] = int(str(found[0])) if found else 0
    return rows


def _run(argv: list[str], url: str | None) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    if url is not None:
        parts = urlsplit(url)
        if parts.password:  # not in argv: every user of the machine can read that
            environment["PGPASSWORD"] = unquote(parts.password)
        user, _, place = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}@{place}" if user else place
        argv = [*argv[:1], f"--dbname={urlunsplit(parts._replace(netloc=netloc))}", *argv[1:]]
    try:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=TOOL_SECONDS
        )
    except FileNotFoundError:
        raise BackupError(f"{argv[0]} is not installed; install the PostgreSQL client of the server's version")
    except subprocess.TimeoutExpired:
        raise BackupError(f"{argv[0]} did not end within {TOOL_SECONDS} s and was stopped")
    if done.returncode != 0:
        raise BackupError(
            f"{argv[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:].strip()}"
        )
