"""Verifies the audit chain piece by piece, and remembers in this process how far it holds: a page must say so fast.

A glance verifies the few entries that came since the last one. More than that, the whole of a long chain above all, is
left to a thread that takes its time; meanwhile the page says how far it has come, or what the last whole pass found.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import DatabaseError, connection
from django.utils import timezone

from . import audit, audit_export, audit_told, raw_rows, sound, verify
from .breaks import Breaks
from .models import AuditEntry

NEAR = 100  # entries that a page verifies itself: a few milliseconds
STEP = 250  # entries that the thread verifies before it rests, so that it takes a fifth of a core
REST_S = 0.05
AGAIN_S = 600.0  # a whole pass begins anew after this time, so that an old entry that was changed is found too
ACCEPTED = "audit.break_accepted"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Held:
    """How far the chain was verified, when, and what was wrong; `newest` is the last entry that there is.

    Of the `breaks` no problem is what was accepted, nor what comes before an acceptance that was not reached yet.
    """

    seq: int = 0
    hash: str = verify.GENESIS
    at: datetime | None = None
    newest: int = 0
    problems: tuple[str, ...] = ()
    breaks: Breaks = field(default_factory=Breaks)

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
            if self.held.newest - self.held.seq <= NEAR:
                self.held = _to_the_end(self.held, digest, now)
            elif not self.held.ok:
                self.held = _judged(self.held)
            due = self._is_due()
            needed = (due or (self.held.ok and not self.held.complete)) and not self.busy
            self.busy = self.busy or needed
        if needed:
            self.start(self._anew if due else self._catch_up)
        return self.held

    def _is_due(self) -> bool:
        """Say whether a whole pass begins anew: after a time; over a break that may be accepted by now, at once."""
        if not self.held.ok and _accepted_since(self.held):
            return True
        return (self.held.complete or not self.held.ok) and self.clock() - self.begun > AGAIN_S

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


def passed(held: Held | None = None) -> Held:
    """Return what a whole pass finds, over every break to the head; or what one finds that goes on from there."""
    seq, digest = audit.head()
    return _to_the_end(replace(held or Held(), newest=seq), digest, timezone.now())


def _to_the_end(held: Held, digest: str, now: datetime) -> Held:
    while True:
        before, held = held.seq, _further(held, digest, now, STEP)
        if held.complete or held.seq == before:
            return held


def _step(held: Held) -> Held:
    seq, digest = audit.head()
    return _further(replace(held, newest=seq), digest, timezone.now(), STEP)


def _further(held: Held, digest: str, now: datetime, most: int) -> Held:
    """Verify the next entries, at most so many, and return how far the chain holds then."""
    if held.newest < held.seq:
        return _judged(held, f"the head row says #{held.newest}, entry #{held.seq} was there before")
    upto = _upto(held, most)
    found, breaks = _read(held, upto)
    if breaks.told and (accepting := _acceptance(held.seq, upto)):
        upto = accepting  # what was broken before it is looked at alone
        found, breaks = _read(held, upto)
        if _accepts(upto, breaks):
            breaks.accept()
    reached = held.seq
    if found.count:
        reached = found.last if found.last > held.seq else upto  # somebody put there what is no number
    wrong = ""
    if not breaks.told and reached < upto:
        wrong = f"the head row says #{held.newest}, but the chain ends at #{reached}"
    elif not breaks.told and reached == held.newest and found.head != digest:
        wrong = f"the head row says {digest}, the last entry is {found.head}"
    return _judged(replace(held, seq=reached, hash=found.head, at=now, breaks=breaks), wrong)


def _read(held: Held, upto: int) -> tuple[verify.Result, Breaks]:
    entries, breaks = AuditEntry.objects.filter(seq__gt=held.seq, seq__lte=upto), replace(held.breaks)
    return sound.verify(audit_export.read(entries), after=(held.seq, held.hash), breaks=breaks), breaks


def _upto(held: Held, most: int) -> int:
    """Return the last number of the next entries, at most so many: an accepted break may have left out many numbers."""
    if held.newest - held.seq <= most:
        return held.newest
    ahead = AuditEntry.objects.filter(seq__gt=held.seq, seq__lte=held.newest).order_by("seq")
    numbers = ahead.values_list(raw_rows.number("seq"), flat=True)[most - 1 : most]
    return next((seq for seq in numbers if seq > held.seq), held.newest)


def _acceptance(after: int, upto: int) -> int:
    """Return the number of the first entry in between that accepts a break; 0 when there is none."""
    told = AuditEntry.objects.filter(action=ACCEPTED, seq__gt=after, seq__lte=upto).order_by("seq")
    return next((seq for seq in told.values_list(raw_rows.number("seq"), flat=True) if seq > after), 0)


def _accepts(seq: int, breaks: Breaks) -> bool:
    """Say whether an entry accepts all that is broken up to there; one that is broken itself cannot tell that."""
    with raw_rows.any_text():
        body = AuditEntry.objects.filter(action=ACCEPTED, seq=seq).values_list("body", flat=True).first()
    try:
        data = json.loads(body)["data"] if body else {"breaks_sha256": ""}
        if "breaks_sha256" in data:
            return bool(data["breaks_sha256"] == breaks.sha256)
        # of an older version, which told words alone
        return breaks.is_in_words and set(breaks.told) <= set(data["broken"])
    except audit_told.BROKEN:
        return False  # somebody wrote it there


def _judged(held: Held, wrong: str = "") -> Held:
    """Return it with what is a problem now: what comes before an acceptance is none until that is reached."""
    told = held.breaks.told
    if told and _acceptance(held.seq, held.newest):
        told = ()
    return replace(held, problems=(*told, wrong) if wrong else told)


def _accepted_since(held: Held) -> bool:
    """Say whether somebody accepted the database as it is after it was looked at."""
    newer = AuditEntry.objects.filter(action__in=(ACCEPTED, "audit.set_back_accepted"), seq__lte=held.newest)
    return held.at is not None and newer.filter(at__gt=held.at).exists()


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
