"""Tells where the checkpoints lag behind the audit, or stand ahead of it."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from . import audit, raw_rows, unseen
from .models import AuditEntry, Checkpoint

AT_LATEST = timedelta(seconds=60)  # after so long pulse signs whatever is new
LATE = 3 * AT_LATEST  # then nobody signs


def late(*, now: datetime) -> str:
    """Return a sentence when entries have waited for a checkpoint for too long; empty when all is well."""
    if wrong := ahead():
        return wrong
    waiting = first()
    if waiting is None or now - waiting.at < LATE:
        return ""
    return f"#{waiting.seq} has waited for its checkpoint since {waiting.at:%Y-%m-%d %H:%M} UTC"


def first() -> AuditEntry | None:
    """Return the oldest entry that no checkpoint covers yet."""
    return AuditEntry.objects.filter(seq__gt=_signed_to()).order_by("seq").first()


def ahead() -> str:
    """Return a sentence when a checkpoint is of an entry that is not there; empty when all is well."""
    return _unnumbered() or beyond(_signed_to(), audit.head()[0])  # in this order: the head only grows


def beyond(signed_to: int, head: int) -> str:
    """Return the sentence where a checkpoint is of an entry beyond the head; empty where it is not."""
    if signed_to <= head:
        return ""
    said = f"a checkpoint of #{signed_to} stands beyond the last entry, #{head}"
    return f"{said}: entries were cut off, or somebody wrote it"


def numbered() -> QuerySet[Checkpoint]:
    """Return the checkpoints that have a number; SQLite keeps whatever somebody put into its column."""
    return Checkpoint.objects.filter(seq__lte=raw_rows.LARGEST)


def _unnumbered() -> str:
    odd = Checkpoint.objects.filter(seq__gt=raw_rows.LARGEST).values_list(raw_rows.kept("seq"), flat=True)
    with raw_rows.any_text("backslashreplace"):
        found = odd.first()
    return f"a checkpoint is kept with {unseen.in_codes(found):.40} for its number: somebody wrote it" if found else ""


def _signed_to() -> int:
    return numbered().order_by("-seq").values_list("seq", flat=True).first() or 0
