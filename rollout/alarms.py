"""Tells people when the machinery itself broke: that a run cannot go on must not only stand in a log."""

from datetime import datetime

from monitoring.models import Incident
from rollout import opening
from rollout.models import Run

TITLE = "A run cannot go on"
HIDDEN = "A run at work that its row hides"
WAITS = "A rollback waits for the target's lock"


def cannot_go_on(run_id: int, error: Exception, *, now: datetime) -> Incident | None:
    """Open a P0 incident about a run whose execution raised, once while it is open; None when it stands already."""
    run = Run.objects.select_related("rollout__target__component", "rollout__target__environment").get(pk=run_id)
    why = (
        f"{run.kind} run {run.pk} raised {type(error).__name__}: {error}. It is tried again; the worker's log has more."
    )
    return _once(run, TITLE, why, now)


def waits_for_lock(run: Run, holders: str, *, now: datetime) -> Incident | None:
    """Open a P0 incident about a rollback that cannot have the lock, once while it is open."""
    why = (
        f"Rollback run {run.pk} waits, and nothing that could be asked to end holds the lock. Held by: {holders}. "
        "Look what it does; the rollback goes on by itself as soon as it has ended, or was ended by hand."
    )
    return _once(run, WAITS, why, now)


def is_hidden(run: Run, why: str, *, now: datetime) -> Incident | None:
    """Open a P0 incident about a run at work that its row hides, and cannot be put back, once while it is open."""
    more = "Entries about it were edited as well, so it stays as it is: look at the target, and at what runs there."
    return _once(run, HIDDEN, f"Run {run.pk}: {why}. {more}", now)


def was_edited(run: Run, title: str, *, why: str, now: datetime) -> Incident:
    """Open a P0 incident about rows of a run that somebody wrote: any incident that they name may be edited as well."""
    return opening.open_incident(run.rollout, "P0", title=title, why=why, runbook="incident", now=now)


def _once(run: Run, title: str, why: str, now: datetime) -> Incident | None:
    mine = Incident.objects.filter(subject_kind="rollout", subject_id=str(run.rollout_id), title=title)
    if mine.exclude(state=Incident.State.CLOSED).exists():
        return None
    return opening.open_incident(run.rollout, "P0", title=title, why=why, runbook="incident", now=now)
