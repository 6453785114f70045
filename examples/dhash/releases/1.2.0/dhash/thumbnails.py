"""Thumbnails of recent frames in the database, shared by all processes and bounded in number."""

import sqlite3
import time
from pathlib import Path

from dhash import database
from PIL import Image

SIDE = 16


class NoRoom(Exception):
    """The cache stayed full for as long as a frame may wait."""


class ThumbnailCache:
    """Keeps at most `size` thumbnails; a frame that comes while it is full waits for room."""

    def __init__(self, path: Path, *, size: int, wait_step_s: float, wait_at_most_s: float) -> None:
        self._path = path
        self._size = size
        self._wait_step_s = wait_step_s
        self._wait_at_most_s = wait_at_most_s

    def keep(self, hash_text: str, image: Image.Image) -> None:
        """Store the frame's thumbnail; raise NoRoom when the cache stays full."""
        connection = database.connection(self._path)
        with database.writing(connection):
            connection.execute(
                "INSERT INTO thumbnails (hash, pixels, created_at) VALUES (?, ?, ?)",
                (hash_text, image.convert("RGB").resize((SIDE, SIDE)).tobytes(), time.time()),
            )
        self._wait_for_room(connection)

    def _wait_for_room(self, connection: sqlite3.Connection) -> None:
        # Back off in proportion to how far the cache is over its size, so that eviction can catch up.
        # The fault of this release: nothing ever evicts, so every frame waits longer than the one before it.
        excess = connection.execute("SELECT COUNT(*) FROM thumbnails").fetchone()[0] - self._size
        if excess <= 0:
            return
        wanted = excess * self._wait_step_s
        time.sleep(min(wanted, self._wait_at_most_s))
        if wanted > self._wait_at_most_s:
            raise NoRoom(f"{excess} thumbnails too many after {self._wait_at_most_s:g} s")
