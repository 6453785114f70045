"""One move of a rollout, run or step: compare-and-swap, audit entry and notice in one transaction.

A move that loses the race raises Conflict and leaves nothing behind. Never load, check, save.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F

from monitoring import audit, notices
from monitoring.audit import Actor, Subject
from monitoring.notices import Severity
from monitoring.routes import Route
from rollout import nudge, routing, states
from rollout.models import Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.swap import swap

Moved = Rollout | Run | Step
KINDS: dict[type[models.Model], str] = {Rollout: "rollout", Run: "run", Step: "step"}

# (kind, new state) -> (event, severity) of the notice that the move queues
NOTICES: dict[tuple[str, str], tuple[str, Severity]] = {
    ("rollout", R.WAITING): ("signoff_requested", "info"),
    ("rollout", R.APPROVED): ("signoff_complete", "info"),
    ("rollout", R.REJECTED): ("rollout_rejected", "warning"),
    ("rollout", R.EXPIRED): ("rollout_expired", "warning"),
    ("rollout", R.RUNNING): ("run_started", "info"),
    ("rollout", R.WATCHING): ("watch_started", "info"),
    ("rollout", R.SUCCEEDED): ("rollout_succeeded", "info"),
    ("rollout", R.FAILED): ("rollout_failed", "warning"),
    ("rollout", R.ROLLING_BACK): ("rollback_started", "critical"),
    ("rollout", R.ROLLED_BACK): ("rollback_finished", "critical"),
    ("rollout", R.ROLLED_BACK_UNHEALTHY): ("rollback_finished", "critical"),
    ("rollout", R.NOT_RESTORED): ("rollback_finished", "critical"),
    ("rollout", R.UNKNOWN): ("run_unknown", "critical"),
}


# What GitHub is told of, as the status of the release's commit.
PUBLISHED = frozenset(
    {
        R.WAITING,
        R.APPROVED,
        R.DRAFT,
        R.REJECTED,
        R.EXPIRED,
        R.SUPERSEDED,
        R.CANCELLED,
        R.SUCCEEDED,
        R.ROLLING_BACK,
        R.ROLLED_BACK,
    }
)


class ConflictError(RuntimeError):
    """Somebody else moved it first; the sentence says where it stands now."""


def move(
    obj: Moved,
    to: str,
    *,
    by: Actor,
    now: datetime,
    why: str = "",
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Move `obj` to a state, with its other columns `changes`, if nobody was faster.

    Raises ConflictError when the row is no longer as `obj` was read, ValueError when there is no such move.
    """
    kind, old = KINDS[type(obj)], obj.state
    # asked of the row, too: who read an old state has lost a race, whatever he wanted
    if not states.allowed(kind, old, to) and _row(obj).filter(state=old, version=obj.version).exists():
        raise ValueError(f"{kind} {obj.pk} cannot go from {old} to {to}")
    entry = audit.draft(
        action=f"{kind}.{str(to).lower()}",
        by=by,
        subject=subject_of(obj),
        why=why,
        old=old,
        new=str(to),
        data=data,
        now=now,
    )
    with audit.turn():
        if not swap(obj, to, changes):
            current = _row(obj).values_list("state", flat=True).get()
            raise ConflictError(
                f"{kind} {obj.pk} was {states.label(old)} when you looked; it is {states.label(current)} now"
            )
        audit.place(entry)
        obj.state, obj.version = str(to), obj.version + 1
        for name, value in changes.items():
            setattr(obj, name, value)
        if isinstance(obj, Rollout) and settings.GR_GITHUB_TOKEN:
            _nudge_github(obj)
        event = NOTICES.get((kind, to))
        if event:
            tell(obj, *event, why=why, by=by, now=now, key=f"{kind}-{obj.pk}-{obj.version}")


def _row(obj: Moved) -> models.QuerySet[Any]:
    return type(obj)._default_manager.filter(pk=obj.pk)


def hold(run: Run) -> None:
    """Keep a run as it was read until this transaction ends; raise ConflictError when somebody moved it meanwhile.

    What ends a run through other rows first asks this: a caller that is late must find out before it writes anything.
    """
    rows = Run.objects.filter(pk=run.pk, state=run.state, version=run.version)
    if rows.update(version=F("version")) != 1:
        raise ConflictError(f"{run} was {states.label(run.state)} when you looked, and was moved since")


def tell(
    obj: Moved,
    event: str,
    severity: Severity,
    *,
    why: str,
    by: Actor,
    now: datetime,
    key: str,
    everywhere: bool = False,
    **more: str,
) -> None:
    """Queue the notices of an event, for the channels whose routes want it; `everywhere`: for all that are named."""
    rollout = rollout_of(obj)
    context = {
        "rollout": str(rollout),
        "component": rollout.target.component.name,
        "environment": rollout.target.environment.name,
        "release": rollout.release.version,
        "previous_release": rollout.previous_version,
        "by": by.name,
        "why": why,
        "url": url_of(rollout),
        **more,
    }
    notices.queue(
        event,
        subject=subject_of(rollout),
        severity=severity,
        context=context,
        routes=every_route(rollout) if everywhere else routing.of(rollout.target.component),
        key=f"{event}-{key}",
        url=url_of(rollout),
        now=now,
    )


def every_route(rollout: Rollout) -> tuple[Route, ...]:
    """Return the channels of the component's routes, each for every event: nobody has filtered away what is loud."""
    return tuple(Route(channel=one.channel) for one in routing.of(rollout.target.component))


def _nudge_github(rollout: Rollout) -> None:
    if rollout.state == R.VALIDATING:
        nudge.check(rollout.release_id)
    elif rollout.state in PUBLISHED:
        nudge.publish(rollout.pk)


def subject_of(obj: Moved | Target) -> Subject:
    """Return how audit, notices and incidents name a row of this room."""
    if isinstance(obj, Target):
        target, kind, label = obj, "target", str(obj)
    else:
        rollout = rollout_of(obj)
        target, kind, label = rollout.target, KINDS[type(obj)], str(obj)
    return Subject(
        kind=kind,
        id=str(obj.pk),
        label=label[:200],
        component=target.component.name,
        environment=target.environment.name,
    )


def rollout_of(obj: Moved) -> Rollout:
    """Return the rollout that a run or step belongs to."""
    if isinstance(obj, Step):
        return obj.run.rollout
    return obj.rollout if isinstance(obj, Run) else obj


def url_of(rollout: Rollout) -> str:
    """Return the absolute URL of a rollout's page."""
    return f"{settings.GR_BASE_URL}{rollout.get_absolute_url()}"
