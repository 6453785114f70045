"""Keep watches: open one, look when a look is due, judge, decide once, and let a person accept what is unclear."""

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from . import audit, canonical, probes, set_back, unreadable, unseen, watch_data, watch_seal, watch_store
from .audit import SYSTEM, Actor, Subject
from .gates import GateProfile
from .models import Watch
from .routes import Route
from .verdict import Reading
from .watch_data import readings, series

__all__ = ["WatchSpec", "accept", "ask", "close", "is_followed", "next_due", "observe_due", "open", "release"]
__all__ += ["readings", "series"]

BATCH = 50
GRACE = timedelta(seconds=15)  # a claim lasts this much longer than the slowest source may take

log = logging.getLogger(__name__)


class Conflict(Exception):
    """The watch is no longer in the state that was seen; the message says what stands now."""


@dataclass(frozen=True, kw_only=True)
class WatchSpec:
    """What to watch, by what profile and since when.

    `cwd` and `env` are for sources that are commands, `routes` and `url` for gates that only alert.
    """

    subject: Subject
    base_url: str
    profile: GateProfile
    started_at: datetime
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    routes: Sequence[Route] = ()
    url: str = ""


def open(spec: WatchSpec, *, now: datetime) -> Watch:
    """Open a watch whose first look is due at once, and return it."""
    window = timedelta(seconds=float(spec.profile.window_s))
    with audit.turn():
        watch = Watch(
            base_url=spec.base_url,
            profile=spec.profile.to_dict(),
            surroundings={"cwd": spec.cwd, "env": dict(spec.env)},
            routes=[asdict(route) for route in spec.routes],
            url=spec.url,
            started_at=spec.started_at,
            ends_at=spec.started_at + window,
            next_due_at=now,
            **spec.subject.columns(),
        )
        watch.seal = watch_seal.of(watch)
        watch.save(force_insert=True)
        data = {"profile": spec.profile.name, "window_s": canonical.number(spec.profile.window_s)}
        watch_store.tell_audit(watch, "watch.opened", by=SYSTEM, new=watch.state, data=data, now=now)
    return watch


def observe_due(now: datetime, *, fetch: probes.Fetch = watch_data.fetch, leave: Collection[int] = ()) -> list[int]:
    """Look at every watch that is due, all at the same time, and return the ids of those that are newly decided.

    `leave` holds the ids of those that cannot be seen from here.
    """
    sound, lost = unreadable.read(_live(leave))
    decided = [pk for pk in lost if unreadable.ask(pk, now)]
    watches = _claim_due(sound, now, leave)
    if not watches:
        return decided
    with ThreadPoolExecutor(len(watches), thread_name_prefix="watch") as pool:
        looks = [pool.submit(_look, watch, fetch, now) for watch in watches]
    for watch, look in zip(watches, looks, strict=True):
        try:
            seen = look.result()
            if watch_store.ask(watch, watch_seal.EDITED, now) if seen is None else watch_store.store(watch, seen, now):
                decided.append(watch.pk)
        except watch_store.LostError as lost:
            log.info("watch %s: poll %s was stored by another: %s", watch.pk, watch.polls + 1, lost)
        except Exception:
            # A fault in one watch must not blind the others; its claim runs out, then it is tried again
            log.exception("watch %s: this look failed", watch.pk)
    return decided


def next_due(now: datetime, *, leave: Collection[int] = ()) -> datetime | None:
    """Return when the next look is due (perhaps in the past), or None when nothing but `leave` is watched.

    One whose row says nothing that can be read is due now: the look leaves it to people.
    """
    sound, lost = unreadable.read(_live(leave))
    return now if lost else min((_due_at(watch, now) for watch in sound), default=None)


def release(*, leave: Collection[int] = ()) -> None:
    """Let go of every claim but those of `leave`, for a worker that starts: whoever held one may be dead.

    One that lives loses a look, which then does not count, and the watch is looked at again.
    """
    _live(leave).filter(claimed_until__isnull=False).update(claimed_until=None)


def is_followed(state: str, outcome: str) -> bool:
    """Say whether something comes after this: looks, or what follows from the outcome."""
    if outcome == Watch.Outcome.NEEDS_DECISION:
        return state in (Watch.State.OBSERVING, Watch.State.DECIDED)
    decided = outcome in (Watch.Outcome.PASSED, Watch.Outcome.BREACHED)
    return decided or (outcome, state) == (Watch.Outcome.NONE, Watch.State.OBSERVING)


def ask(watch: Watch, *, why: str, now: datetime) -> None:
    """Leave a watch to people, and go on looking at it: for who waits for one of which `is_followed` says no."""
    with audit.turn():
        watch.refresh_from_db()
        if not is_followed(watch.state, watch.outcome):
            watch_store.ask(watch, why, now, again=timedelta())
            watch.refresh_from_db()


def accept(
    watch: Watch, *, by: Actor, why: str, now: datetime, also_breached: bool = False, also_passed: bool = False
) -> Watch:
    """Let a person pass a watch that needs a decision; raises Conflict when it does not, ValueError without words.

    `also_breached` is for a caller that rolls back nothing by itself any more: elsewhere a breach must not be accepted.
    `also_passed` is for one that cannot believe the row.
    """
    if not unseen.seen_length(why):
        raise ValueError("say in a sentence why this release may stay")
    with audit.turn():
        watch.refresh_from_db()
        old, open_to_accept = watch.outcome, [Watch.Outcome.NEEDS_DECISION]
        open_to_accept += [Watch.Outcome.BREACHED] * also_breached + [Watch.Outcome.PASSED] * also_passed
        asked = Watch.objects.filter(pk=watch.pk, state=Watch.State.DECIDED).filter(
            outcome=old, outcome__in=open_to_accept
        )
        if asked.update(outcome=Watch.Outcome.PASSED, reason=why, decided_at=now, claimed_until=None) != 1:
            watch.refresh_from_db()
            stands = f"{watch.get_state_display()}, {watch.get_outcome_display()}"
            raise Conflict(f"watch {watch.pk} awaits no decision: it is {stands}")
        watch.refresh_from_db()
        watch_store.tell_audit(watch, "watch.accepted", by=by, why=why, old=old, new=watch.outcome, now=now)
    return watch


def close(watch: Watch, *, now: datetime) -> Watch:
    """Stop looking; closing a closed watch changes nothing."""
    with audit.turn():
        old = watch.state
        still = Watch.objects.filter(pk=watch.pk).exclude(state=Watch.State.CLOSED)
        closed = still.update(state=Watch.State.CLOSED, closed_at=now, claimed_until=None)
        watch.refresh_from_db()
        if closed:
            watch_store.tell_audit(watch, "watch.closed", by=SYSTEM, old=old, new=watch.state, now=now)
    return watch


def _live(leave: Collection[int] = ()) -> QuerySet[Watch]:
    """Return the watches that are still looked at: undecided ones, and those that wait for a person."""
    waiting = Q(state=Watch.State.DECIDED, outcome=Watch.Outcome.NEEDS_DECISION)
    return Watch.objects.filter(Q(state=Watch.State.OBSERVING) | waiting).exclude(pk__in=leave)


def _due_at(watch: Watch, now: datetime) -> datetime:
    if _is_ahead(watch, now):
        return now
    due: datetime = max(watch.next_due_at, watch.claimed_until or watch.next_due_at)
    return due


def _is_ahead(watch: Watch, now: datetime) -> bool:
    if not watch_seal.holds(watch):
        return False  # its profile may say anything
    return set_back.is_ahead(watch, now, claim=watch_data.slowest(watch) + GRACE)


def _claim_due(watches: list[Watch], now: datetime, leave: Collection[int]) -> list[Watch]:
    for watch in watches:
        if _is_ahead(watch, now):
            _begin_again(watch, now)
    claimed = []
    due = (
        _live(leave)
        .filter(pk__in=[watch.pk for watch in watches])
        .filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now), next_due_at__lte=now)
    )
    for watch in due.order_by("next_due_at")[:BATCH]:
        until = now + GRACE + (watch_data.slowest(watch) if watch_seal.holds(watch) else timedelta())
        if due.filter(pk=watch.pk, polls=watch.polls).update(claimed_until=until) == 1:
            watch.claimed_until = until
            claimed.append(watch)
    return claimed


def _begin_again(watch: Watch, now: datetime) -> None:
    """Let a watch that a clock set back left in the future begin its window again, and audit that."""
    why = "the clock was set back: what was planned lies too far in the future, so the window begins again"
    with audit.turn():
        if set_back.begin_again(watch, now):
            watch_store.tell_audit(watch, "watch.begun_again", by=SYSTEM, why=why, now=now)


def _look(watch: Watch, fetch: probes.Fetch, now: datetime) -> list[Reading] | None:
    """Read all sources of a watch at the same time; None when somebody edited them.

    Runs in a thread, so without the database.
    """
    if not watch_seal.holds(watch):
        return None
    sources = watch_data.sources_of(watch)
    return probes.read_all(sources, watch.base_url, fetch=fetch, now=now.timestamp(), max_workers=len(sources))
