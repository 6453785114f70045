"""Whether this process can serve: the database answers, accepts a write and has this release's schema."""

import os
import sqlite3

from dhash import database, migrate
from dhash.codecs import video_codecs
from dhash.settings import RELEASE_DIR, Settings

LAUNCH_VARIABLE = "DHASH_LAUNCH"
NEEDED_SCHEMA = len(migrate.read_migrations(RELEASE_DIR / "migrations"))


def check(settings: Settings) -> tuple[int, dict[str, object]]:
    """Return the HTTP status and what /health says."""
    said: dict[str, object] = {
        "status": "ok",
        "version": settings.version,
        "environment": settings.environment,
        "launch": os.environ.get(LAUNCH_VARIABLE, ""),
        "pid": os.getpid(),
        "schema": None,
        "video_codecs": video_codecs(),
    }
    try:
        connection = database.connection(settings.database)
        said["schema"] = schema = migrate.applied_number(connection)
        # Takes the write lock and gives it back: a read-only or full disk shows here, and no row is written.
        with database.writing(connection):
            connection.execute("SELECT COUNT(*) FROM images WHERE id < 0").fetchone()
    except sqlite3.Error as error:
        return 503, {**said, "status": "database unusable", "error": str(error)}
    if schema < NEEDED_SCHEMA:
        return 503, {**said, "status": "schema too old", "needed_schema": NEEDED_SCHEMA}
    return 200, said
