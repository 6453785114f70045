"""Asks whether this installation can do its work: processes, queues, due work, disk, audit."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from monitoring import anchors, chain_watch, notices, unsigned, watcher
from rollout import heartbeat, hosts, nudge, places, wanting
from rollout.models import Run
from rollout.states import RunState as N

# Seconds after which work that waits means that nobody does it.
LATE_S = 30.0
LEAST_FREE_BYTES = 256 * 1024**2
PLACES = ("GR_VAR", "GR_BACKUPS", "GR_RUN_DIR")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One answer: what was asked, whether it is well, and what was seen."""

    name: str
    ok: bool
    detail: str


def look() -> list[Check]:
    """Ask everything; when the database does not answer, or has not its tables, nothing else can be asked."""
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return [Check(name="database", ok=False, detail=f"does not answer: {type(error).__name__}")]
    checks = [Check(name="database", ok=True, detail=connection.vendor), *_asked(_migrations)]
    if checks[-1].ok:
        for ask in (_processes, _queue, due, _disk, audited):
            checks += _asked(ask)
    return checks


def _asked(ask: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(ask())
    except (DatabaseError, OSError) as error:
        return [Check(name=ask.__name__.lstrip("_"), ok=False, detail=f"could not be asked: {type(error).__name__}")]


def _migrations() -> Iterator[Check]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
    yield Check(name="migrations", ok=not plan, detail=f"not applied: {names}" if plan else "applied")


def _processes() -> Iterator[Check]:
    """Ask for the pulse and the workers of every host that must live."""
    for kind in heartbeat.LATE_S:
        ages = heartbeat.ages(kind)
        for host in hosts.needed():
            name = kind if host == settings.GR_HOST_ID else heartbeat.of(kind, host)
            yield _beat(name, ages.get(host), heartbeat.LATE_S[kind])


def _beat(name: str, age_s: float | None, late_s: float) -> Check:
    if age_s is None:
        return Check(name=name, ok=False, detail="never seen: start it with `python up.py`, or its systemd unit")
    seen = f"last sign of life {age_s:.0f} s ago"
    return Check(name=name, ok=age_s <= late_s, detail=seen if age_s <= late_s else f"{seen}, expected {late_s:.0f}")


def _queue() -> Iterator[Check]:
    waits = {one.host: (one.count, queue_age_s(one)) for one in nudge.waiting()}
    told = [f"{count} for host {host}, the oldest for {age_s:.0f} s" for host, (count, age_s) in waits.items()]
    late = any(age_s > LATE_S for _, age_s in waits.values())
    yield Check(name="queue", ok=not late, detail=f"messages wait: {'; '.join(told)}" if told else "empty")


def queue_age_s(queue: nudge.Waiting) -> float:
    """Return for how long (seconds) the oldest message of a queue has waited, as far as this process saw it."""
    return heartbeat.OBSERVER.age_s(f"queue-{queue.host}", queue.oldest, told_s=queue.oldest_s)


def due() -> Iterator[Check]:
    """Ask for the work of this host that should have been done, and for notices, which any host sends."""
    now = timezone.now()
    ages = {
        "a poll": _overdue("poll", watcher.next_due(now, leave=hosts.watches_elsewhere()), now),
        "a notice": _overdue("notice", notices.next_due(now), now),
    }
    for run in Run.objects.filter(host_id=settings.GR_HOST_ID, state=N.RUNNING).select_related("target"):
        why = wanting.why(run)
        if why not in ("", "look", wanting.ASKED):
            ages[f"run {run.pk}"] = heartbeat.OBSERVER.age_s(f"run-{run.pk}", why)
    late = [f"{what} has been due for {age_s:.0f} s" for what, age_s in ages.items() if age_s > LATE_S]
    yield Check(name="due", ok=not late, detail="; ".join(late) or "nothing is late")


def _overdue(what: str, at: datetime | None, now: datetime) -> float:
    """Return for how long something has been due; the first look believes the wall clock, those after it our own."""
    if at is None or at > now:
        return 0.0
    return heartbeat.OBSERVER.age_s(f"due-{what}", at, told_s=(now - at).total_seconds())


def _disk() -> Iterator[Check]:
    free = {name: free_bytes(Path(getattr(settings, name))) for name in PLACES}
    full = [f"{size // 1024**2} MiB are free for {name}" for name, size in free.items() if size < LEAST_FREE_BYTES]
    full += [why] if (why := places.refusal()) else []
    least = min(free.values()) // 1024**2
    yield Check(name="disk", ok=not full, detail="; ".join(full) or f"at least {least} MiB are free everywhere")


def free_bytes(place: Path) -> int:
    """Return how much is free where a directory is, or will be made."""
    return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free


def audited() -> Iterator[Check]:
    """Ask how far the chain holds; each call verifies a piece more."""
    held = chain_watch.WATCH.look(timezone.now())
    detail = "; ".join(held.problems[:3]) or f"the chain holds to #{held.seq} of #{held.newest}"
    yield Check(name="audit", ok=held.ok, detail=detail)
    why = anchors.refusal()
    yield Check(name="anchor", ok=not why, detail=why or "the anchor file agrees with the audit")
    yield _signed()


def _signed() -> Check:
    """Ask for how long, as far as this process saw it, the oldest entry without a checkpoint has waited."""
    waiting = unsigned.first()
    age_s = heartbeat.OBSERVER.age_s("unsigned", waiting.seq) if waiting else 0.0
    late = age_s > unsigned.LATE.total_seconds()
    detail = f"#{waiting.seq} has waited for its checkpoint for {age_s:.0f} s" if waiting and late else "it is"
    ahead = unsigned.ahead()
    return Check(name="signed", ok=not late and not ahead, detail=ahead or detail)
