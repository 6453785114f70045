"""Read the audit out: rows for the verifier, JSON lines and CSV for an auditor."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC

from django.db.models import QuerySet

from . import audit
from .models import AuditEntry
from .verify import SHOWN, Result, Row, verify_entries

COLUMNS = (*SHOWN, "actor_name", "person")
CSV_COLUMNS = (
    "seq", "at", "action", "actor_name", "actor_id", "via", "component", "environment",
    "subject_kind", "subject_id", "subject_label", "old", "new", "why", "hash", "prev",
)  # fmt: skip


def rows(entries: QuerySet[AuditEntry] | None = None) -> Iterator[Row]:
    """Yield all entries (or the given ones), oldest first, as the verifier reads them."""
    chosen = AuditEntry.objects.all() if entries is None else entries
    for entry in chosen.order_by("seq").iterator(chunk_size=2000):
        columns = {name: getattr(entry, name) for name in COLUMNS}
        columns["at"] = audit.stamp(entry.at)
        yield entry.seq, entry.body, entry.prev, entry.hash, columns


def jsonl(entries: QuerySet[AuditEntry] | None = None) -> Iterator[str]:
    """Yield one JSON line an entry; `monitoring/verify.py` verifies a whole export."""
    for seq, body, prev, digest, columns in rows(entries):
        record = {"seq": seq, "body": body, "prev": prev, "hash": digest, "columns": columns}
        yield json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"


def csv_lines(entries: QuerySet[AuditEntry] | None = None) -> Iterator[str]:
    """Yield a header line and one line an entry, in UTC; made for a spreadsheet, so formulas are defused."""
    chosen = AuditEntry.objects.all() if entries is None else entries
    yield _csv_line(CSV_COLUMNS)
    for entry in chosen.order_by("seq").iterator(chunk_size=2000):
        values = {name: getattr(entry, name) for name in CSV_COLUMNS}
        values["at"] = entry.at.astimezone(UTC).isoformat(timespec="seconds")
        yield _csv_line(_defused(values[name]) for name in CSV_COLUMNS)


def verify_database(anchors: dict[int, str] | None = None) -> Result:
    """Verify the chain in the database, and that the head row agrees with its last entry."""
    known = dict(anchors or {})
    seq, digest = audit.head()
    result = verify_entries(rows(), anchors=known)
    if (result.count, result.head) != (seq, digest):
        result.add(f"the head row says #{seq} {digest}, the last entry is #{result.count} {result.head}")
    return result


def _csv_line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _defused(value: object) -> object:
    # A spreadsheet would run a text that begins like a formula
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
