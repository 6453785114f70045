"""Connections to the environment's SQLite database: one a thread, write-ahead log, short transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_TIMEOUT_S = 10.0

_local = threading.local()


def connect(path: Path) -> sqlite3.Connection:
    """Return a new connection in autocommit mode; transactions are opened by `writing`."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connection(path: Path) -> sqlite3.Connection:
    """Return this thread's connection; raise sqlite3.OperationalError when there is no database (never create one)."""
    if not path.exists():
        raise sqlite3.OperationalError(f"no database at {path}; run dhash.migrate")
    if getattr(_local, "path", None) != path:
        _local.connection = connect(path)
        _local.path = path
    return _local.connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block as one write transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def fold_log(path: Path) -> None:
    """Write the write-ahead log back into the file and remove it; for a stopped service, so that one file is all."""
    if not path.exists():
        return
    connection = connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
