"""Pieces of the audit that prove themselves: each ends with an entry that a checkpoint signs, or with the head."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from . import anchors, audit, audit_export, raw_rows, time_stamps
from .models import AuditEntry, Checkpoint

Span = tuple[int, int]  # first and last number
# what a verifier needs to follow the keys from one piece to the next, and to know which names were erased
NEAR = 1000  # entries: so many more are worth that a third party tells when the last of them was there
CARE = ("audit.key_announced", "audit.key_lost", "audit.person_erased")


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the pieces that hold these spans, changes of key and erasures, each up to its next checkpoint.

    A span of several entries goes on to the next checkpoint with a time stamp, if that is near. Where all of them are
    newer than what is signed, the newest entry that is signed comes first.
    """
    checkpoints = Checkpoint.objects.filter(seq__lte=raw_rows.LARGEST).order_by("seq")
    head, signed = audit.head()[0], list(checkpoints.values_list("seq", flat=True))
    stamped = sorted({*signed}.intersection(time_stamps.numbered().values_list("seq", flat=True)))
    care = AuditEntry.objects.filter(action__in=CARE, seq__lte=raw_rows.LARGEST).values_list("seq", flat=True)
    found: list[Span] = []
    wanted = sorted({*spans, *((seq, seq) for seq in care)})
    if wanted and signed and signed[-1] < wanted[0][0]:
        wanted.insert(0, (signed[-1], signed[-1]))
    for low, high in wanted:
        at = bisect_left(signed, high)
        end = signed[at] if at < len(signed) else head
        stamp = bisect_left(stamped, end)
        if low < high and stamp < len(stamped) and stamped[stamp] - end <= NEAR:
            end = stamped[stamp]
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((low, end))
    return found


def jsonl(pieces: Iterable[Span]) -> Iterator[str]:
    """Yield the entries of the pieces, then their checkpoints, as `verify.py` reads them."""
    pieces = list(pieces)
    for low, high in pieces:
        yield from audit_export.jsonl(AuditEntry.objects.filter(seq__gte=low, seq__lte=high))
    for low, high in pieces:
        for one in Checkpoint.objects.filter(seq__gte=low, seq__lte=high).order_by("seq").iterator():
            yield anchors.line_of(one) + "\n"
