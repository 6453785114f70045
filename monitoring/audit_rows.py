"""The statements of an append, written out: all others wait while they run, and building them anew cost the most.

Everything else of these tables goes through Django's models.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import local
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from . import prepared
from .models import AuditEntry, AuditHead
from .prepared import database

HEAD_ID = 1
HEAD, ENTRY = AuditHead._meta.db_table, AuditEntry._meta.db_table
POSTGRES_TYPES = {"PositiveBigIntegerField": "bigint", "DateTimeField": "timestamptz"}
TYPES = {
    str(field.column): POSTGRES_TYPES.get(field.get_internal_type(), "text")
    for field in AuditEntry._meta.local_concrete_fields
    if not field.primary_key
}
FIELDS = tuple(TYPES)
GET_HEAD = f'SELECT "seq", "hash", "newest_at", "set_back_us" FROM "{HEAD}" WHERE "id" = {HEAD_ID}'  # noqa: S608
SET_HEAD = (
    f'UPDATE "{HEAD}" SET "seq" = %s, "hash" = %s, "newest_at" = %s, "set_back_us" = %s '  # noqa: S608  our own names
    f'WHERE "id" = {HEAD_ID} AND "seq" = %s AND "hash" = %s'
)
COLUMNS = ", ".join(f'"{name}"' for name in FIELDS)
INTO = f'INSERT INTO "{ENTRY}" ({COLUMNS})'
INSERT = f"{INTO} VALUES ({', '.join(['%s'] * len(FIELDS))})"
# in one statement: on a network each is a way there and back; what is selected has to name its types
TYPED = ", ".join(f"%s::{kind}" for kind in TYPES.values())
BOTH = f'WITH head AS ({SET_HEAD} RETURNING 1) {INTO} SELECT {TYPED} FROM head RETURNING "id"'  # noqa: S608  our own names


@dataclass(frozen=True)
class Head:
    """The row that every append takes, as it was found."""

    seq: int
    hash: str
    newest_at: datetime | None
    set_back_us: int


class _Turn(local):
    """The head as this thread's turn left it; None outside of one, or when it has to be read again."""

    head: Head | None = None


_turn = _Turn()


@contextmanager
def turn() -> Iterator[None]:
    """Take the head, and remember it while this lasts: nobody else can change it meanwhile."""
    if _turn.head is not None:
        yield  # within another one of ours
        return
    _turn.head = take_head()
    try:
        yield
    finally:
        _turn.head = None


def head() -> Head:
    """Return the head, taken for this transaction."""
    return _turn.head or take_head()


def take_head() -> Head:
    """Return the head, which nobody else can take until this transaction ends.

    PostgreSQL locks the row; on SQLite the transaction is IMMEDIATE already. Should a database do neither, `seq` is
    unique: the second append fails, and nothing forks.
    """
    sql = f"{GET_HEAD} FOR UPDATE" if database().features.has_select_for_update else GET_HEAD
    with prepared.cursor() as cursor:
        row = cursor.execute(sql).fetchone()
        if row is None:
            AuditHead.objects.bulk_create([AuditHead(pk=HEAD_ID)], ignore_conflicts=True)
            row = cursor.execute(sql).fetchone()
    seq, digest, newest_at, set_back_us = row
    if newest_at is not None and newest_at.tzinfo is None:  # SQLite keeps no zone
        newest_at = newest_at.replace(tzinfo=UTC)
    return Head(seq, digest, newest_at, set_back_us)


def put(entry: AuditEntry, taken: Head, following: Head) -> bool:
    """Append an entry to the head that was taken, which then is the `following`; return whether it was done.

    It is not when the head was remembered of a savepoint that was rolled back since; then it is forgotten.
    """
    stored: Any = database().ops.adapt_datetimefield_value
    head = [following.seq, following.hash, stored(following.newest_at), following.set_back_us, taken.seq, taken.hash]
    row: list[Any] = [stored(entry.at) if name == "at" else getattr(entry, name) for name in FIELDS]
    with prepared.cursor() as cursor:
        if database().vendor == "postgresql":
            cursor.execute(BOTH, [*head, *row])
            entry.pk = (cursor.fetchone() or [None])[0]
        elif cursor.execute(SET_HEAD, head).rowcount == 1:
            entry.pk = cursor.execute(INSERT, row).lastrowid
    done = entry.pk is not None
    if _turn.head is not None:
        _turn.head = following if done else None
    entry._state.adding, entry._state.db = not done, DEFAULT_DB_ALIAS
    return done
