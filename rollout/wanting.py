"""Says why a run of this host should be looked at now: from its rows, and from the files that its runner left."""

from monitoring import watcher
from monitoring.models import Watch
from rollout import commands, runner, standing
from rollout.models import Run, Step
from rollout.states import RunState as N
from rollout.states import StepState as S

# a breach that is left to people, by its rows: now and then it is looked at whether the audit says so, too
ASKED = "asked"
# a watch that by these rows no verdict ends: somebody edited them, and now and then the run is compared with the audit
ASTRAY = "astray"


def why(run: Run) -> str:
    """Return why a run should be looked at now: a name that changes when the reason does, or "" when it should not."""
    if run.state == N.QUEUED:
        return "queued"
    step: Step | None = run.steps.filter(state=S.RUNNING).first()
    if step is None:
        return f"next-{run.version}-{run.steps.filter(state=S.PENDING).count()}"
    if step.kind == "watch":
        return _why_watch(run, step)
    try:
        ended = runner.read_exit(commands.folder_of(step))
    except (OSError, TypeError, ValueError):
        # the worker that looks then raises as well, and its alarm tells people
        return f"unreadable-{step.pk}-{step.attempt}"
    return "look" if ended is None else f"ended-{step.pk}-{step.attempt}"


def _why_watch(run: Run, step: Step) -> str:
    """Return why a run that watches should go on; one whose question was asked already waits for its answer."""
    # no more of its row than that: what else stands there may not even be readable
    state, outcome = Watch.objects.filter(pk=run.watch_id or 0).values_list("state", "outcome").first() or ("", "")
    if not watcher.is_followed(state, outcome) or run.steps.filter(number__gt=step.number).exists():
        return ASTRAY
    asked = bool(run.rollout.needs_decision)
    waits = outcome == Watch.Outcome.NEEDS_DECISION or run.rollout.automatic_rollback_used
    waits = waits or outcome == Watch.Outcome.PASSED  # the audit tells another one; who accepts it nudges himself
    if standing.is_to_abort(run) or (outcome and not (asked and waits)):
        return f"watch-{outcome}"
    return ASKED if outcome in (Watch.Outcome.BREACHED, Watch.Outcome.PASSED) else ""
