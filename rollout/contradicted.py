"""How runs end that the audit contradicts; one transaction with all that follows from it."""

from datetime import datetime

from monitoring import audit
from monitoring.audit import SYSTEM
from rollout import alarms, as_told, attempted, endings, opening, standing, states
from rollout.models import Run, Step
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import hold

# where a rollout stands while a run of a kind waits, or is under way
DURING: dict[tuple[str, str], frozenset[R]] = {
    (Run.Kind.VALIDATE, N.QUEUED): frozenset({R.VALIDATING}),
    (Run.Kind.VALIDATE, N.RUNNING): frozenset({R.VALIDATING}),
    (Run.Kind.DEPLOY, N.QUEUED): frozenset({R.QUEUED}),
    (Run.Kind.DEPLOY, N.RUNNING): frozenset({R.RUNNING, R.WATCHING}),
    (Run.Kind.ROLLBACK, N.RUNNING): frozenset({R.ROLLING_BACK}),
}


def end(run: Run, step: Step | None, *, why: str, now: datetime) -> None:
    """End a run of which the audit tells something else, before its next step.

    What is not known to have changed nothing is parked, and never rolled back by itself: rows that somebody wrote could
    name what there is to undo.
    """
    with audit.turn():
        hold(run)
        as_told.put_back(run)
        as_told.put_back(run.rollout)
        if run.state not in (N.QUEUED, N.RUNNING):  # only its row said that it goes on
            alarms.was_edited(run, f"Run {run.pk} does not go on: it is {states.label(run.state)}", why=why, now=now)
        elif not _is_of_its_rollout(run):
            _leave_alone(run, step, why=why, now=now)
        elif run.kind == Run.Kind.VALIDATE:
            endings.back_to_draft(run, why=why, by=SYSTEM, to=_over(run), now=now)
        elif run.state == N.QUEUED:
            endings.refused(run, why=why, now=now)
        elif step is not None and run.kind == Run.Kind.ROLLBACK:
            endings.rollback_failed(run, step, why=why, now=now)
        elif step is not None and not attempted.may_have_changed(run.rollout):
            endings.deploy_failed(run, why=why, title=f"Deploy failed: {step.title}", now=now)
        else:
            _park(run, step, why=why, now=now)


def _is_of_its_rollout(run: Run) -> bool:
    """Say whether a rollout stands where a run of this kind is under way: this one, or the only one that there is."""
    others = run.rollout.runs.filter(state__in=[N.QUEUED, *states.RUN_ACTIVE]).exclude(pk=run.pk)
    during = run.rollout.state in DURING.get((run.kind, run.state), frozenset())
    return during and (standing.was_opened(run) or not others.exists())


def _leave_alone(run: Run, step: Step | None, *, why: str, now: datetime) -> None:
    """End a run without its rollout, which stands elsewhere; park one that somebody opened and that may have acted."""
    if run.state == N.RUNNING and run.kind != Run.Kind.VALIDATE and standing.was_opened(run):
        _park(run, step, why=why, now=now)
        return
    opening.end_run(run, _over(run), why=why, by=SYSTEM, now=now)
    alarms.was_edited(run, f"Run {run.pk} is not of this rollout", why=why, now=now)


def _over(run: Run) -> str:
    return N.CANCELLED if run.state == N.QUEUED else N.FAILED


def _park(run: Run, step: Step | None, *, why: str, now: datetime) -> None:
    """Park a run before its next step: of one that was not begun, there is nothing to decide."""
    begun = step if step is not None and step.state == S.RUNNING else None
    endings.unknown(run, begun, why=why, now=now, title=f"Stopped before “{step.title}”" if step else "No step is left")
