"""Gives up the runs of a host that was lost: parked or failed, never taken over and never run again."""

import logging
from datetime import datetime

from rollout import alarms, endings, heartbeat
from rollout.models import Run
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import ConflictError

log = logging.getLogger(__name__)


def give_up(host: str, counter: int, *, now: datetime) -> None:
    """End or park what a silent host had under way, unless its pulse counted on since; do the aborts it cannot do."""
    if heartbeat.counter(heartbeat.of("pulse", host)) != counter:
        return
    runs = Run.objects.filter(host_id=host, state__in=[N.QUEUED, N.RUNNING])
    for run in runs.select_related("target__component", "target__environment", "rollout__release", "watch"):
        try:
            _give_up(run, now)
        except ConflictError:
            continue  # it lives after all, or another host gives it up as well
        except Exception as error:  # one that cannot be given up must not keep the others from it
            log.exception("run %s of the lost host %s could not be given up", run.pk, host)
            alarms.cannot_go_on(run.pk, error, now=now)


def _give_up(run: Run, now: datetime) -> None:
    """Nothing is known to run on the host for a run that waits or watches, so an abort needs nobody there."""
    idle = run.state == N.QUEUED or run.steps.filter(state=S.RUNNING, kind="watch").exists()
    if idle and run.abort_requested:
        endings.aborted(run, now=now)
    elif run.state == N.RUNNING:
        endings.host_lost(run, now=now)
