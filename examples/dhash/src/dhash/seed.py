"""`python -m dhash.seed [N]`: puts N golden frames into the database as if they had been posted; idempotent."""

import hashlib
import sqlite3
import sys
import time

from dhash import database, golden, settings, store
from dhash.extraction import Extractor


def main() -> int:
    """Seed the database that the environment names and print how many frames are new."""
    try:
        configured = settings.load()
        connection = database.connection(configured.database)
        added = seed(configured, connection, int(sys.argv[1]) if len(sys.argv) > 1 else None)
        connection.close()
    except (settings.SettingsError, sqlite3.Error, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"seeded {added} frames")
    return 0


def seed(configured: settings.Settings, connection: sqlite3.Connection, limit: int | None) -> int:
    """Add the first `limit` golden frames (all without a limit) that are not there yet; return how many."""
    extractor, added = Extractor(configured), 0
    with database.writing(connection):
        for name in list(golden.expected())[:limit]:
            data = (golden.GOLDEN / name).read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            if store.known_image(connection, sha256, settings.LIVE) is None:
                store.add_image(connection, extractor.extract(data), sha256, settings.LIVE, time.time())
                added += 1
    return added


if __name__ == "__main__":
    sys.exit(main())
