"""Read the audit out: rows for the verifier, JSON lines and CSV for an auditor."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Concat, Length, Replace
from django.db.models.lookups import Exact

from . import anchors, audit, audit_pages, unseen
from .models import AuditEntry, Checkpoint
from .verify import SHOWN, Row

OTHERS = (*list(SHOWN)[1:], "actor_name", "person")
COLUMNS = ("at", *OTHERS)
Read = tuple[Any, ...]  # at, seq, body, prev, hash, and the OTHERS
CHUNK = 200  # rows: so many stay in a core's cache until they are looked at
# a moment that SQLite keeps, as text, the way the bodies write it; without microseconds it has 19 characters
KEPT = Cast("at", TextField())
ROUND = Case(When(Exact(Length(KEPT), 19), then=Value(".000000")), default=Value(""))
WRITTEN = Concat(Replace(KEPT, Value(" "), Value("T")), ROUND, Value("+00:00"), output_field=TextField())
# full-width ones too: a spreadsheet in Japanese takes them for the others
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CSV_COLUMNS = (
    "seq", "at", "action", "actor_name", "actor_id", "via", "component", "environment",
    "subject_kind", "subject_id", "subject_label", "old", "new", "why", "hash", "prev",
)  # fmt: skip


def read(entries: QuerySet[AuditEntry] | None = None) -> Iterator[Read]:
    """Yield all entries (or the given ones), oldest first, as the driver reads them.

    No objects, no converters, and the moments as text where the database keeps a text: over a million entries each of
    these costs seconds.
    """
    chosen = AuditEntry.objects.all() if entries is None else entries
    on_sqlite = connection.vendor == "sqlite"
    at = WRITTEN if on_sqlite else F("at")
    asked = chosen.order_by("seq").annotate(told_at=at).values_list("told_at", "seq", "body", "prev", "hash", *OTHERS)
    try:
        sql, params = asked.query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that there is none
        return
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while found := cursor.fetchmany(CHUNK):
            yield from found if on_sqlite else ((audit.stamp(one[0]), *one[1:]) for one in found)


def rows(entries: QuerySet[AuditEntry] | None = None) -> Iterator[Row]:
    """Yield all entries (or the given ones), oldest first, as the verifier reads them."""
    return map(row_of, read(entries))


def row_of(one: Read) -> Row:
    """Return an entry as the verifier reads it, from what was read."""
    at, seq, body, prev, digest, *values = one
    return seq, body, prev, digest, dict(zip(COLUMNS, (at, *values), strict=True))


def jsonl(entries: QuerySet[AuditEntry] | None = None) -> Iterator[str]:
    """Yield one JSON line an entry, then, of a whole export, one a checkpoint; `monitoring/verify.py` verifies that."""
    seq = 0
    for seq, body, prev, digest, columns in rows(entries):
        record = {"seq": seq, "body": body, "prev": prev, "hash": digest, "columns": columns}
        yield json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"
    if entries is None:
        yield from _checkpoints(seq)


def jsonl_pieces(pieces: Iterable[QuerySet[AuditEntry]], *, signed_to: int = 0) -> Iterator[str]:
    """Yield the lines of entries that come in pieces, each read at once: who reads slowly holds up no database.

    `signed_to` is the last number of a whole export: then the checkpoints up to there follow.
    """
    for piece in pieces:
        yield from jsonl(piece)
    yield from _checkpoints(signed_to)


def csv_pieces(pieces: Iterable[QuerySet[AuditEntry]]) -> Iterator[str]:
    """Yield a header line and one line an entry, in UTC; made for a spreadsheet, so formulas are defused."""
    yield csv_line(CSV_COLUMNS)
    for piece in pieces:
        for at, *values in piece.order_by("seq").values_list("at", *CSV_COLUMNS):
            values[1] = at.astimezone(UTC).isoformat(timespec="seconds")
            yield csv_line(values)


def csv_lines() -> Iterator[str]:
    """Yield the whole audit as CSV."""
    return csv_pieces(audit_pages.windows(audit_pages.Wanted(), upto=audit.head()[0]))


def _checkpoints(upto: int) -> Iterator[str]:
    for one in Checkpoint.objects.filter(seq__lte=upto).order_by("seq").iterator():
        yield anchors.line_of(one) + "\n"


def csv_line(values: Iterable[object]) -> str:
    """Return a line of a CSV for a spreadsheet; what that would run is defused, what hides is told by its code."""
    line = io.StringIO()
    csv.writer(line).writerow(_defused(value) for value in values)
    return line.getvalue()


def _defused(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = unseen.in_codes(value)
    # A spreadsheet would run a text that begins like a formula
    return f"'{shown}" if shown.startswith(FORMULA) else shown
