"""Says why a run of this host should be looked at now: from its rows, and from the files that its runner left."""

from monitoring.models import Watch
from rollout import commands, runner
from rollout.models import Run, Step
from rollout.states import RunState as N
from rollout.states import StepState as S

# a breach that is left to people, by its rows: now and then it is looked at whether the audit says so, too
ASKED = "asked"


def why(run: Run) -> str:
    """Return why a run should be looked at now: a name that changes when the reason does, or "" when it should not."""
    if run.state == N.QUEUED:
        return "queued"
    step: Step | None = run.steps.filter(state=S.RUNNING).first()
    if step is None:
        return f"next-{run.version}-{run.steps.filter(state=S.PENDING).count()}"
    if step.kind == "watch":
        return _why_watch(run)
    try:
        ended = runner.read_exit(commands.folder_of(step))
    except (OSError, TypeError, ValueError):
        # the worker that looks then raises as well, and its alarm tells people
        return f"unreadable-{step.pk}-{step.attempt}"
    return "look" if ended is None else f"ended-{step.pk}-{step.attempt}"


def _why_watch(run: Run) -> str:
    """Return why a run that watches should go on; one whose question was asked already waits for its answer."""
    outcome = run.watch.outcome if run.watch is not None else ""
    asked = bool(run.rollout.needs_decision)
    waits = outcome == Watch.Outcome.NEEDS_DECISION or run.rollout.automatic_rollback_used
    if run.abort_requested or outcome == Watch.Outcome.PASSED or (outcome and not (asked and waits)):
        return f"watch-{outcome}"
    return ASKED if outcome == Watch.Outcome.BREACHED else ""
