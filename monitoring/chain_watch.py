"""Verifies the audit chain piece by piece, and remembers in this process how far it holds: a page must say so fast.

A glance verifies the few entries that came since the last one. More than that, the whole of a long chain above all, is
left to a thread that takes its time; meanwhile the page says how far it has come, or what the last whole pass found.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import DatabaseError, connection
from django.utils import timezone

from . import audit, audit_export, audit_told, sound, verify
from .models import AuditEntry

NEAR = 100  # entries that a page verifies itself: a few milliseconds
STEP = 250  # entries that the thread verifies before it rests, so that it takes a fifth of a core
REST_S = 0.05
AGAIN_S = 600.0  # a whole pass begins anew after this time, so that an old entry that was changed is found too

log = logging.getLogger(__name__)


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


Work = Callable[[], None]


class ChainWatch:
    """Remembers the last pass over the chain, and goes on with it; broken stays broken until the next whole pass."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, start: Callable[[Work], None] | None = None
    ) -> None:
        self.clock = clock
        self.start = start or _in_background
        self.lock = threading.Lock()
        self.busy = False
        self.begun = clock()
        self.held = Held()

    def look(self, now: datetime) -> Held:
        """Return how far the chain holds, after a glance at the newest entries."""
        with self.lock:
            seq, digest = audit.head()
            self.held = replace(self.held, newest=seq)
            due = self.held.complete and self.clock() - self.begun > AGAIN_S
            if self.held.newest - self.held.seq <= NEAR:
                self.held = _further(self.held, digest, now, NEAR)
            needed = (due or not self.held.complete) and not self.busy
            self.busy = self.busy or needed
        if needed:
            self.start(self._anew if due else self._catch_up)
        return self.held

    def _catch_up(self) -> None:
        """Go on to the end of the chain, and show every step of it."""
        try:
            while not self.held.complete and self.held.ok:
                with self.lock:
                    self.held = _step(self.held)
                time.sleep(REST_S)
        finally:
            self.busy = False

    def _anew(self) -> None:
        """Verify the whole chain again, and show only what came out."""
        try:
            begun, fresh = self.clock(), _step(Held())
            while not fresh.complete and fresh.ok:
                time.sleep(REST_S)
                fresh = _step(fresh)
            with self.lock:
                self.held, self.begun = fresh, begun
        finally:
            self.busy = False


def _step(held: Held) -> Held:
    seq, digest = audit.head()
    return _further(replace(held, newest=seq), digest, timezone.now(), STEP)


def _further(held: Held, digest: str, now: datetime, most: int) -> Held:
    """Verify the next entries, at most so many, and return how far the chain holds then."""
    if held.newest < held.seq:
        gone = f"the head row says #{held.newest}, entry #{held.seq} was there before"
        return held if gone in held.problems else replace(held, problems=(*held.problems, gone))
    upto = min(held.newest, held.seq + most)
    entries = AuditEntry.objects.filter(seq__gt=held.seq, seq__lte=upto)
    after = held.seq, held.hash
    found = sound.verify(audit_export.read(entries), after=after)
    reached = found.last if found.count else held.seq
    new = set(found.problems) - audit_told.accepted_breaks() if found.problems else set()  # what was accepted is known
    problems = (*held.problems, *(one for one in found.problems if one in new))
    if not problems and reached == held.newest and found.head != digest:
        problems = (f"the head row says {digest}, the last entry is {found.head}",)
    if reached < upto and not problems:
        problems = (f"the head row says #{held.newest}, but the chain ends at #{reached}",)
    return replace(held, seq=reached, hash=found.head, at=now, problems=problems)


def _in_background(work: Work) -> None:
    """Let a thread do it that nobody waits for: it has a connection of its own, and closes it."""

    def do() -> None:
        try:
            work()
        except DatabaseError:  # the next look begins another one
            log.exception("the chain could not be read on")
        finally:
            connection.close()

    threading.Thread(target=do, name="chain-watch", daemon=True).start()


WATCH = ChainWatch()
