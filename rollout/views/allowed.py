"""Which buttons a page offers to whom; `actions` asks the same again in the transaction that acts; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollout import access, standing, states
from rollout.models import Rollout, Run
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S

BEFORE_START = frozenset({R.DRAFT, R.WAITING, R.APPROVED})
# Here a stopper's forms are put on the page even while their button is not: it may appear while he looks.
MAY_STOP = frozenset(
    {R.VALIDATING, R.QUEUED, R.RUNNING, R.WATCHING, R.ROLLING_BACK, R.UNKNOWN, R.NOT_RESTORED, R.SUCCEEDED}
)


@dataclass(frozen=True, kw_only=True)
class Verbs:
    """What this person may do to this rollout now."""

    decide: bool = False
    submit: bool = False
    tune: bool = False
    start: bool = False
    glass: bool = False  # break the glass: start without the complete sign-off, in an emergency
    abort: bool = False
    roll_back: bool = False
    accept: bool = False
    cancel: bool = False
    review: bool = False
    settle: bool = False
    unknown: bool = False  # decide about a step whose end nobody saw
    stopper: bool = False
    may_stop: bool = False


def verbs(
    rollout: Rollout,
    runs: Sequence[Run],
    *,
    roles: frozenset[str],
    username: str,
    may_decide: bool,
    may_start: bool,
    changed: bool,
    ready: bool,
) -> Verbs:
    """Return what somebody with these roles may do now; `changed` says that there is something to undo."""
    state, stopper = R(rollout.state), bool(roles & access.STOPPERS)
    early = state in BEFORE_START
    return Verbs(
        decide=may_decide and state in (R.WAITING, R.APPROVED),
        submit=ready and state == R.DRAFT and bool(roles & (access.OWNERS | access.DECIDERS)),
        tune=early and bool(roles & (access.OWNERS | access.STOPPERS | access.DECIDERS)),
        start=state == R.APPROVED and may_start,
        glass=state in (R.WAITING, R.APPROVED) and bool(roles & access.BREAKERS),
        abort=stopper and state != R.WATCHING and _abortable(runs),
        roll_back=stopper and can_roll_back(rollout, changed=changed),
        accept=stopper and state == R.WATCHING and bool(rollout.needs_decision),
        cancel=early and bool(roles & (access.OWNERS | access.STOPPERS)),
        review=to_review(runs, username) is not None and bool(roles & (access.RESPONDERS | access.DECIDERS)),
        settle=stopper and state in states.TO_SETTLE,
        unknown=stopper and state == R.UNKNOWN and _asks(runs),
        stopper=stopper,
        may_stop=stopper and state in MAY_STOP,
    )


def _asks(runs: Sequence[Run]) -> bool:
    """Say whether there is a step to decide about: a run whose rows the audit contradicts is parked without one."""
    return any(step.state == S.UNKNOWN for run in runs if run.state == N.UNKNOWN for step in run.steps.all())


def can_roll_back(rollout: Rollout, *, changed: bool) -> bool:
    """Say whether a rollback has something to undo, and would not undo a later release with it."""
    if rollout.state not in states.ROLLBACK_FROM or rollout.backup_id is None or not changed:
        return False
    return rollout.state != R.SUCCEEDED or rollout.target.live_version == rollout.release.version


def to_review(runs: Sequence[Run], username: str) -> Run | None:
    """Return the ended rollback run that another person still has to review, unless this one started it."""
    for run in reversed(runs):
        if run.kind == Run.Kind.ROLLBACK and run.state in states.RUN_FINAL and run.reviewed_at is None:
            own = run.started_by is not None and run.started_by.get_username() == username
            return None if own else run
    return None


def _abortable(runs: Sequence[Run]) -> bool:
    open_runs = [run for run in runs if run.state in (N.QUEUED, N.RUNNING)]
    last = open_runs[-1] if open_runs else None
    return last is not None and last.kind != Run.Kind.ROLLBACK and not standing.is_to_abort(last)
