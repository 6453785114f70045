"""What chosen entries of the audit tell, and whether they stand in the chain as they were written."""

import json
from typing import Any

from django.db.models import QuerySet

from . import audit, audit_export
from .models import AuditEntry
from .verify import problems_of

Json = dict[str, Any]


def told(entries: QuerySet[AuditEntry]) -> tuple[list[Json], list[str]]:
    """Return what entries tell by their hashed bodies, oldest first, with `person`; and what is wrong with them.

    Each is compared with its columns, its hash, and the entry after it or the head: so none was put in between or
    edited alone. Whether the chain as a whole holds is asked by `audit_verify` and the anchors.
    """
    found: list[Json] = []
    wrong: list[str] = []
    ends: dict[int, str] = {}
    for row in audit_export.rows(entries):
        seq, body, prev, digest, columns = row
        problems = [f"#{seq}: {problem}" for problem in problems_of(seq, prev, row)]
        wrong += problems
        ends[seq + 1] = digest
        if not problems:
            found.append({**json.loads(body), "person": json.loads(columns["person"] or "{}")})
    return found, wrong + _unlinked(ends)


def _unlinked(ends: dict[int, str]) -> list[str]:
    """Return which of these are not what the entry after them goes on from; `ends` is that one's number -> hash."""
    after = dict(AuditEntry.objects.filter(seq__in=ends).values_list("seq", "prev"))
    last, digest = audit.head()
    after.setdefault(last + 1, digest)
    return [f"#{seq - 1}: the chain does not go on from it" for seq in sorted(ends) if after.get(seq) != ends[seq]]
