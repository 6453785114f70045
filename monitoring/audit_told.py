"""What chosen entries of the audit tell, whether they stand in the chain as they were written, and whether it holds."""

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from . import anchors, audit, audit_export, sound
from .models import AuditEntry
from .verify import GENESIS, Result, problems_of, verify_checkpoints

Json = dict[str, Any]
WHAT_TO_DO = " (`manage.py audit verify` names every break; `manage.py audit accept` lets new work go on over it)"
# what reading a body that anybody may have written can raise
BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def told(entries: QuerySet[AuditEntry]) -> tuple[list[Json], list[str]]:
    """Return what entries tell by their hashed bodies, oldest first, with `person`; and what is wrong with them.

    Each is compared with its columns, its hash, and the entry after it or the head: so none was put in between or
    edited alone. Whether the chain as a whole holds is asked by `audit_verify` and the anchors.
    """
    found, wrong, loose = _read(entries)
    return found, _advised([*wrong, *(f"#{seq}: the chain does not go on from it" for seq in loose)])


def sound_about(kind: str, ids: Iterable[object]) -> list[Json]:
    """Return what entries about rows of a kind tell that stand as they were written, whatever became of the others."""
    return standing(AuditEntry.objects.filter(of(kind, ids)))


def written() -> QuerySet[AuditEntry]:
    """Return the entries up to the head: beyond it none was appended, and whoever asks for the chain is told so."""
    return AuditEntry.objects.filter(seq__lte=audit.head()[0])


def standing(entries: QuerySet[AuditEntry]) -> list[Json]:
    """Return what those of these entries tell, oldest first, that stand as they were written."""
    found, _, loose = _read(entries)
    return [one for one in found if one["seq"] not in loose]


def _read(entries: QuerySet[AuditEntry]) -> tuple[list[Json], list[str], list[int]]:
    """Return what entries tell, what is wrong with those that do not hold, and from which the chain does not go on."""
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
    return found, wrong, _unlinked(ends)


def about(kind: str, ids: Iterable[object]) -> tuple[list[Json], list[str]]:
    """Return what is `told` of rows of a kind, and what is wrong with it."""
    return told(AuditEntry.objects.filter(of(kind, ids)))


def of(kind: str, ids: Iterable[object]) -> Q:
    """Return the condition that an entry is about one of these rows."""
    return Q(subject_kind=kind, subject_id__in=[str(one) for one in ids])


def is_known(kind: str, pk: object) -> bool:
    """Say whether any entry is about a row."""
    return AuditEntry.objects.filter(of(kind, [pk])).exists()


def broken_since(seq: int, digest: str) -> list[str]:
    """Return what is wrong with the chain from the entry after that one, which has that hash, to the head.

    Every column is compared with its body, so a filter over these columns leaves none of them out; nothing may stand
    beyond the head, where no entry was ever appended; and personal data is gone only where an entry tells of that.
    """
    found = _go_on(seq, digest)
    if not found.problems and (found.last, found.head) != audit.head():
        with audit.turn():  # somebody may just append: nobody does now
            later = _go_on(found.last, found.head)
            last, head = audit.head()
            sound.put(later, into=found)
            if not found.problems and (found.last, found.head) != (last, head):
                what = "which has another hash" if found.last == last else f"but its last entry is #{found.last}"
                return [f"the head of the audit is #{last}, {what}"]
    verify_checkpoints((), found)
    return found.problems


def broken_from(seq: int, *, by_anchor: bool = True) -> list[str]:
    """Return what is wrong with the chain that is to hold an entry, for people: from the `root_of` that to the head."""
    return _advised(broken_since(*root_of(seq, by_anchor=by_anchor)))


def _advised(problems: list[str]) -> list[str]:
    """Return breaks with what to do behind the first: pages show no other."""
    return [f"{problems[0]}{WHAT_TO_DO}", *problems[1:]] if problems else []


def _go_on(seq: int, digest: str) -> Result:
    return sound.verify(audit_export.read(AuditEntry.objects.filter(seq__gt=seq)), after=(seq, digest))


def root_of(seq: int, *, by_anchor: bool = True) -> tuple[int, str]:
    """Return number and hash of the entry from which a chain that is to hold an entry has to be looked at.

    It is the newest one that the anchor file knows from before; where that knows a later one, whoever asks passes it on
    the way to the head, and the one just before will do; so it does for who does not ask the file (`by_anchor`).
    """
    known = anchors.last()
    if by_anchor and (known is None or known.seq == 0):
        return 0, GENESIS
    if by_anchor and known is not None and known.seq < seq:
        return known.seq, known.hash
    before = AuditEntry.objects.filter(seq=seq - 1).values_list("hash", flat=True).first()
    return seq - 1, before or GENESIS


def _unlinked(ends: dict[int, str]) -> list[int]:
    """Return which of these are not what the entry after them goes on from; `ends` is that one's number -> hash."""
    if not ends:
        return []
    last, digest = audit.head()  # before the query, which so finds what is appended after it; none of these is newer
    after = dict(AuditEntry.objects.filter(seq__in=ends).values_list("seq", "prev"))
    after.setdefault(last + 1, digest)
    return [seq - 1 for seq in sorted(ends) if after.get(seq) != ends[seq] or seq - 1 > last]
