"""Read the audit out: rows for the verifier, JSON lines and CSV for an auditor."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet

from . import anchors, audit, audit_pages, raw_rows, unseen
from .models import AuditEntry, Checkpoint
from .verify import SHOWN, Row

OTHERS = (*list(SHOWN)[1:], "actor_name", "person")
COLUMNS = ("at", *OTHERS)
Read = tuple[Any, ...]  # at, seq, body, prev, hash, and the OTHERS
CHUNK = 200  # rows: so many stay in a core's cache until they are looked at
# full-width ones too: a spreadsheet in Japanese takes them for the others
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MICROSECONDS = re.compile(r"\.\d{6}(?=\+00:00\Z)")
CSV_COLUMNS = (
    "seq", "at", "action", "actor_name", "actor_id", "via", "component", "environment",
    "subject_kind", "subject_id", "subject_label", "old", "new", "why", "hash", "prev",
)  # fmt: skip


def read(entries: QuerySet[AuditEntry] | None = None) -> Iterator[Read]:
    """Return all entries (or the given ones), oldest first, as the driver reads them.

    No objects, no converters, and the moments as text: over a million entries each of these costs seconds.
    """
    chosen = AuditEntry.objects.all() if entries is None else entries
    return _raw(chosen, "told_at", "told_seq", "body", "prev", "hash", *OTHERS)


def _raw(chosen: QuerySet[AuditEntry], *columns: str) -> Iterator[Read]:
    told = {"told_at": raw_rows.written("at"), "told_seq": raw_rows.number("seq")}
    asked = chosen.order_by("seq").annotate(**told).values_list(*columns)
    try:
        sql, params = asked.query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that there is none
        return
    for found in raw_rows.fetch(sql, params, CHUNK):
        yield from found


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
        yield _line(record)
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
        for seq, at, *values in _raw(piece, "told_seq", "told_at", *CSV_COLUMNS[2:]):
            yield csv_line((seq, MICROSECONDS.sub("", at), *values))


def csv_lines() -> Iterator[str]:
    """Yield the whole audit as CSV."""
    return csv_pieces(audit_pages.windows(audit_pages.Wanted(), upto=audit.head()[0]))


def _line(record: dict[str, Any]) -> str:
    line = json.dumps(record, ensure_ascii=False, sort_keys=True, default=repr) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError:  # somebody put there what is no text in UTF-8: the verifier has to see it
        return json.dumps(record, sort_keys=True, default=repr) + "\n"
    return line


def _checkpoints(upto: int) -> Iterator[str]:
    for one in Checkpoint.objects.filter(seq__lte=upto).only("body", "signature").order_by("seq").iterator():
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
