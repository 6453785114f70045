"""Images and their matches in the database."""

import sqlite3
from dataclasses import dataclass

from dhash import description, fingerprint
from dhash.extraction import Frame
from dhash.settings import LIVE, SMOKE, Settings

COLUMNS = ("id", "hash", "sha256", "source", "created_at", *description.COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Match:
    """The nearest known image; confidence is "high" or "low"."""

    image_id: int
    distance: int
    confidence: str


def find_match(connection: sqlite3.Connection, wanted: str, source: str, settings: Settings) -> Match | None:
    """Return the nearest image within the queue distance; live requests never see the rows of smoke tests."""
    sources = (LIVE, SMOKE if source == SMOKE else LIVE)
    rows = connection.execute("SELECT hash, MIN(id) FROM images WHERE source IN (?, ?) GROUP BY hash", sources)
    found = fingerprint.nearest(wanted, [(row[0], row[1]) for row in rows])
    if found is None or found[1] > settings.queue_distance:
        return None
    confidence = "high" if found[1] <= settings.confident_distance else "low"
    return Match(image_id=found[0], distance=found[1], confidence=confidence)


def known_image(connection: sqlite3.Connection, sha256: str, source: str) -> int | None:
    """Return the id of the image with exactly these bytes, if it was posted before."""
    row = connection.execute("SELECT id FROM images WHERE sha256 = ? AND source = ?", (sha256, source)).fetchone()
    return None if row is None else row["id"]


def add_image(connection: sqlite3.Connection, frame: Frame, sha256: str, source: str, now: float) -> int:
    """Insert the image and return its id."""
    values = {"hash": frame.hash, "sha256": sha256, "source": source, "created_at": now, **frame.described}
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    cursor = connection.execute(f"INSERT INTO images ({names}) VALUES ({marks})", tuple(values.values()))
    return int(cursor.lastrowid or 0)


def queue_match(connection: sqlite3.Connection, image_id: int, match: Match, now: float) -> None:
    """Put a match that the service is unsure of into the queue for a person."""
    connection.execute(
        "INSERT INTO low_confidence_queue (image_id, candidate_id, distance, created_at) VALUES (?, ?, ?, ?)",
        (image_id, match.image_id, match.distance, now),
    )


def get_image(connection: sqlite3.Connection, image_id: int) -> dict[str, object] | None:
    """Return the image's columns that this release knows, or None."""
    query = f"SELECT {', '.join(COLUMNS)} FROM images WHERE id = ?"
    row = connection.execute(query, (image_id,)).fetchone()
    return None if row is None else dict(row)


def delete_smoke_image(connection: sqlite3.Connection, image_id: int) -> bool:
    """Delete an image that a smoke test left; return False when there is none (live images are never deleted)."""
    cursor = connection.execute("DELETE FROM images WHERE id = ? AND source = ?", (image_id, SMOKE))
    return cursor.rowcount == 1
