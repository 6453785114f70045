"""The times that entries tell: the newest, and how far a later entry ever went below it, as the head row keeps them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from . import raw_rows
from .models import AuditEntry, AuditHead


def tell_kept(rows: Iterable[AuditEntry]) -> None:
    """Fill in what stands in the place of the moment in those of these entries that have none."""
    odd = {row.pk: row for row in rows if row.at is None}
    if odd:
        for pk, text in AuditEntry.objects.filter(pk__in=odd).values_list("pk", raw_rows.kept("at")):
            odd[pk].kept_at = text


@dataclass
class Times:
    """What entries in the order of the chain tell, as the bodies write moments: such texts sort as the moments do."""

    earliest: str = "~"  # above every moment
    newest: str = ""
    back_us: int = 0  # microseconds

    def see(self, at: str) -> None:
        """Add the time of the entry that comes next."""
        if at < self.newest:
            self.back_us = max(self.back_us, _between(at, self.newest))
        else:
            self.newest = at
        if at < self.earliest:
            self.earliest = at

    def follow(self, part: "Times") -> None:
        """Add the times of the piece that comes next; it may go below what came before only at its earliest."""
        if part.newest:
            self.see(part.earliest)
            self.newest, self.back_us = max(self.newest, part.newest), max(self.back_us, part.back_us)

    def problem(self) -> str:
        """Return how the head row tells other times than the entries; one of a chain older than that tells none."""
        timed = AuditHead.objects.filter(newest_at__isnull=False)
        told = timed.values_list(raw_rows.written("newest_at"), "set_back_us").first()
        if told is None or told == (self.newest, self.back_us):
            return ""
        return (
            f"the head row says that the newest time is {told[0]}, and that the clock went back by {told[1]} µs; "
            f"the entries say {self.newest or 'none'}, and {self.back_us} µs"
        )


def _between(earlier: str, later: str) -> int:
    """Return the microseconds between two moments; 0 where a body tells something else than a moment."""
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)) // timedelta(microseconds=1)
    except (ValueError, TypeError):
        return 0
