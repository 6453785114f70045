"""Tells people when the machinery itself broke: that a run cannot go on must not only stand in a log."""

from datetime import datetime

from monitoring.models import Incident
from rollout import opening
from rollout.models import Run

TITLE = "A run cannot go on"


def cannot_go_on(run_id: int, error: Exception, *, now: datetime) -> Incident | None:
    """Open a P0 incident about a run whose execution raised, once while it is open; None when it stands already."""
    run = Run.objects.select_related("rollout__target__component", "rollout__target__environment").get(pk=run_id)
    mine = Incident.objects.filter(subject_kind="rollout", subject_id=str(run.rollout_id), title=TITLE)
    if mine.exclude(state=Incident.State.CLOSED).exists():
        return None
    why = (
        f"{run.kind} run {run.pk} raised {type(error).__name__}: {error}. It is tried again; the worker's log has more."
    )
    return opening.open_incident(run.rollout, "P0", title=TITLE, why=why, runbook="incident", now=now)
