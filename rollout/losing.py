"""Gives up the runs of a host that was lost: parked or failed, never taken over and never run again."""

import logging
from datetime import datetime

from monitoring import audit, incidents
from monitoring.audit import SYSTEM
from rollout import aftermath, alarms, attempted, borne, contradicted, endings, finishing, heartbeat, standing
from rollout.models import Run, Step
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
    if idle and standing.is_to_abort(run):
        step = run.steps.filter(state=S.RUNNING).first()
        if why := standing.at_work(run, step):
            contradicted.end(run, step, why=why, now=now)
        else:
            endings.aborted(run, now=now)
    elif run.state == N.RUNNING:
        host_lost(run, now=now)


def host_lost(run: Run, *, now: datetime) -> None:
    """Stop a run whose host is gone: nothing else may touch its target, and nobody knows what was done there last.

    What changed nothing has failed; what may have is parked, for a person; a watch goes on. It is never run again.
    """
    why = f"its host {run.host_id} was lost"
    # asked in one query: a step that a worker which lives after all claims meanwhile must not be missed by two
    open_steps = list(run.steps.filter(state__in=[S.RUNNING, S.PENDING]))
    step = next((one for one in open_steps if one.state == S.RUNNING), next(iter(open_steps), None))
    if run.state != N.RUNNING:
        return
    if why_else := standing.at_work(run, step):
        contradicted.end(run, step, why=f"{why}; {why_else}", now=now)
    elif step is None and (wrong := borne.why_not(run)):
        contradicted.end(run, None, why=wrong, now=now)
    elif step is None:
        finishing.finished(run, now=now)
    elif step.kind == "watch":
        _watched_alone(run, step, why=why, now=now)
    elif run.kind == Run.Kind.VALIDATE:
        with audit.turn():
            endings.take(run)  # from a state that somebody wrote into its rollout there may be no move
            endings.back_to_draft(run, why=why, by=SYSTEM, to=N.FAILED, now=now)
    elif step.effect or run.kind == Run.Kind.ROLLBACK or attempted.may_have_changed(run.rollout):
        endings.unknown(run, step, why=why, now=now)
    else:
        endings.deploy_failed(run, why=why, title="Host lost before anything was changed", now=now)


def _watched_alone(run: Run, step: Step, *, why: str, now: datetime) -> None:
    """Say, once while the incident is open, that a watch goes on but nobody could act on its verdict."""
    incident = run.incident
    if incident is not None and incident.state in incidents.UNCLOSED:
        return
    title = f"Host {run.host_id} lost during the watch"
    words = f"{why}. {step.title}: until it is back nothing is observed, which extends the window, or rolled back."
    with audit.turn():
        aftermath.alarm(run, title=title, why=words, runbook="incident", now=now)
