"""The three statements of an append, written out: all others wait while they run, and building them anew cost the most.

Everything else of these tables goes through Django's models.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection

from .models import AuditEntry, AuditHead

HEAD_ID = 1
HEAD, ENTRY = AuditHead._meta.db_table, AuditEntry._meta.db_table
FIELDS = tuple(field for field in AuditEntry._meta.local_concrete_fields if not field.primary_key)


@dataclass(frozen=True)
class Head:
    """The row that every append takes, as it was found."""

    seq: int
    hash: str
    newest_at: datetime | None
    set_back_us: int


def take_head() -> Head:
    """Return the head, which nobody else can take until this transaction ends.

    PostgreSQL locks the row; on SQLite the transaction is IMMEDIATE already. Should a database do neither, `seq` is
    unique: the second append fails, and nothing forks.
    """
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    sql = f'SELECT "seq", "hash", "newest_at", "set_back_us" FROM "{HEAD}" WHERE "id" = {HEAD_ID}{lock}'  # noqa: S608
    with connection.cursor() as cursor:
        row = cursor.execute(sql).fetchone()
        if row is None:
            AuditHead.objects.bulk_create([AuditHead(pk=HEAD_ID)], ignore_conflicts=True)
            row = cursor.execute(sql).fetchone()
    seq, digest, newest_at, set_back_us = row
    if newest_at is not None and newest_at.tzinfo is None:  # SQLite keeps no zone
        newest_at = newest_at.replace(tzinfo=UTC)
    return Head(seq, digest, newest_at, set_back_us)


def insert(**values: Any) -> AuditEntry:
    """Insert an entry and return it."""
    entry = AuditEntry(**values)
    with connection.cursor() as cursor:
        done = cursor.execute(
            _insert(), [field.get_db_prep_save(values.get(field.name), connection) for field in FIELDS]
        )
        entry.pk = done.fetchone()[0] if connection.vendor == "postgresql" else cursor.lastrowid
    entry._state.adding, entry._state.db = False, connection.alias
    return entry


def set_head(head: Head) -> None:
    """Write the head as it is after an append."""
    sql = f'UPDATE "{HEAD}" SET "seq" = %s, "hash" = %s, "newest_at" = %s, "set_back_us" = %s WHERE "id" = {HEAD_ID}'  # noqa: S608
    newest_at = connection.ops.adapt_datetimefield_value(head.newest_at)
    with connection.cursor() as cursor:
        cursor.execute(sql, [head.seq, head.hash, newest_at, head.set_back_us])


@cache
def _insert() -> str:
    columns = ", ".join(f'"{field.column}"' for field in FIELDS)
    marks = ", ".join(["%s"] * len(FIELDS))
    returning = ' RETURNING "id"' if connection.vendor == "postgresql" else ""
    return f'INSERT INTO "{ENTRY}" ({columns}) VALUES ({marks}){returning}'  # noqa: S608  names of our own models
