"""Verifies the audit chain piece by piece, and remembers in this process how far it holds: a page must say so fast."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from . import audit, audit_export, verify
from .models import AuditEntry

STEP = 2000  # entries a call: about a tenth of a second
AGAIN_S = 600.0  # a whole pass begins anew after this time, so that an old entry that was changed is found too


@dataclass(frozen=True, kw_only=True)
class Held:
    """How far the chain was verified, when, and what was wrong; `newest` is the last entry that there is."""

    seq: int = 0
    hash: str = verify.GENESIS
    at: datetime | None = None
    newest: int = 0
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether nothing was found wrong."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """Say whether the last entry was reached."""
        return self.seq >= self.newest


class ChainWatch:
    """Remembers one pass over the chain; broken stays broken until the next whole pass."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.begun = clock()
        self.held = Held()

    def look(self, now: datetime) -> Held:
        """Verify the next entries, at most STEP of them, and return how far the chain holds."""
        with self.lock:
            if self.held.complete and self.clock() - self.begun > AGAIN_S:
                self.held, self.begun = Held(), self.clock()
            seq, digest = audit.head()
            self.held = self._further(replace(self.held, newest=seq), digest, now)
            return self.held

    def _further(self, held: Held, digest: str, now: datetime) -> Held:
        if held.newest < held.seq:
            return replace(
                held, problems=(*held.problems, f"the head row says #{held.newest}, entry #{held.seq} was there before")
            )
        entries = AuditEntry.objects.filter(seq__gt=held.seq, seq__lte=min(held.newest, held.seq + STEP))
        found = verify.verify_entries(audit_export.rows(entries), after=(held.seq, held.hash))
        reached = held.seq + found.count
        problems = (*held.problems, *found.problems)
        if not problems and reached == held.newest and found.head != digest:
            problems = (f"the head row says {digest}, the last entry is {found.head}",)
        if reached < min(held.newest, held.seq + STEP) and not problems:
            problems = (f"the head row says #{held.newest}, but the chain ends at #{reached}",)
        return replace(held, seq=reached, hash=found.head, at=now, problems=problems)


WATCH = ChainWatch()
