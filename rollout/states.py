"""The states of a rollout, a run and a step, and the one table of moves between them; pure."""

from collections.abc import Mapping
from enum import StrEnum


class RolloutState(StrEnum):
    """Where a request to put a release on a target stands."""

    DRAFT = "DRAFT"  # evidence is gathered; anything may change
    VALIDATING = "VALIDATING"  # a validate run proves the plan on the real target, without changing it
    WAITING = "WAITING"  # the manifest is frozen; decisions are awaited
    APPROVED = "APPROVED"  # the quorum stands; a deploy operator may start
    QUEUED = "QUEUED"  # started; the target's lock or window is not free yet
    RUNNING = "RUNNING"  # the deploy run is under way
    WATCHING = "WATCHING"  # deployed; the gates are judging
    SUCCEEDED = "SUCCEEDED"  # the window ended without a breach
    REJECTED = "REJECTED"  # an approver said no
    EXPIRED = "EXPIRED"  # the sign-off was not complete, or not used, in time
    SUPERSEDED = "SUPERSEDED"  # a newer rollout for the target took its place
    CANCELLED = "CANCELLED"  # a person stopped it before anything changed
    FAILED = "FAILED"  # it could not go on; nothing changed on the target
    ROLLING_BACK = "ROLLING_BACK"  # a rollback run is under way
    ROLLED_BACK = "ROLLED_BACK"  # the target is as before, proved, and well
    ROLLED_BACK_UNHEALTHY = "ROLLED_BACK_UNHEALTHY"  # restored and proved, but not well afterwards
    NOT_RESTORED = "NOT_RESTORED"  # the rollback did not restore the target: P0
    UNKNOWN = "UNKNOWN"  # an effect may or may not have happened; a person decides


class RunState(StrEnum):
    """Where one execution of a plan stands."""

    QUEUED = "QUEUED"  # waits for the target
    RUNNING = "RUNNING"  # its steps are being executed
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # a step failed, or the watch breached
    CANCELLED = "CANCELLED"  # aborted by a person
    UNKNOWN = "UNKNOWN"  # a step's effect may or may not have happened


class StepState(StrEnum):
    """Where one unit of a run stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"  # claimed; its intent is written
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # the step said no, or broke; its outcome says which
    SKIPPED = "SKIPPED"  # an earlier step ended the run
    UNKNOWN = "UNKNOWN"  # started, and nobody saw how it ended


R, N, S = RolloutState, RunState, StepState

ROLLOUT_MOVES: Mapping[str, frozenset[str]] = {
    R.DRAFT: frozenset({R.VALIDATING, R.CANCELLED, R.SUPERSEDED}),
    R.VALIDATING: frozenset({R.WAITING, R.DRAFT, R.CANCELLED}),
    # straight to QUEUED: break-glass only
    R.WAITING: frozenset({R.APPROVED, R.QUEUED, R.REJECTED, R.EXPIRED, R.DRAFT, R.CANCELLED, R.SUPERSEDED}),
    R.APPROVED: frozenset({R.QUEUED, R.WAITING, R.REJECTED, R.EXPIRED, R.DRAFT, R.CANCELLED, R.SUPERSEDED}),
    R.QUEUED: frozenset({R.RUNNING, R.DRAFT, R.CANCELLED, R.EXPIRED}),
    R.RUNNING: frozenset({R.WATCHING, R.FAILED, R.CANCELLED, R.ROLLING_BACK, R.UNKNOWN}),
    # to UNKNOWN: its rows are not what the audit tells
    R.WATCHING: frozenset({R.SUCCEEDED, R.ROLLING_BACK, R.UNKNOWN}),
    R.SUCCEEDED: frozenset({R.ROLLING_BACK}),
    R.ROLLING_BACK: frozenset({R.ROLLED_BACK, R.ROLLED_BACK_UNHEALTHY, R.NOT_RESTORED, R.UNKNOWN}),
    R.NOT_RESTORED: frozenset({R.ROLLING_BACK, R.ROLLED_BACK_UNHEALTHY}),
    # a person decided: it goes on where it was, is rolled back, ends, or was put right by hand
    R.UNKNOWN: frozenset({R.RUNNING, R.WATCHING, R.ROLLING_BACK, R.FAILED, R.NOT_RESTORED, R.ROLLED_BACK_UNHEALTHY}),
}
RUN_MOVES: Mapping[str, frozenset[str]] = {
    N.QUEUED: frozenset({N.RUNNING, N.CANCELLED}),
    N.RUNNING: frozenset({N.SUCCEEDED, N.FAILED, N.CANCELLED, N.UNKNOWN}),
    N.UNKNOWN: frozenset({N.RUNNING, N.FAILED, N.SUCCEEDED}),
}
STEP_MOVES: Mapping[str, frozenset[str]] = {
    # straight to UNKNOWN: its host was lost before anybody saw it begin
    S.PENDING: frozenset({S.RUNNING, S.SKIPPED, S.UNKNOWN}),
    # back to PENDING: never started, it can be repeated, or the target said that it did not happen
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.UNKNOWN, S.PENDING}),
    S.UNKNOWN: frozenset({S.SUCCEEDED, S.FAILED, S.PENDING}),
}

# One rollout per target may be in one of these (a partial unique constraint holds it).
ACTIVE = frozenset({R.RUNNING, R.WATCHING, R.ROLLING_BACK, R.UNKNOWN, R.NOT_RESTORED})
FINAL = frozenset(
    {
        R.SUCCEEDED,
        R.REJECTED,
        R.EXPIRED,
        R.SUPERSEDED,
        R.CANCELLED,
        R.FAILED,
        R.ROLLED_BACK,
        R.ROLLED_BACK_UNHEALTHY,
    }
)
# Before the start; a newer rollout for the target takes the place of one that stands here.
OPEN = frozenset({R.DRAFT, R.VALIDATING, R.WAITING, R.APPROVED, R.QUEUED})
# The target may have been changed, so that a rollback has something to undo.
ROLLBACK_FROM = frozenset(state for state, to in ROLLOUT_MOVES.items() if R.ROLLING_BACK in to)
# One run per target may be in one of these (a partial unique constraint holds it).
RUN_ACTIVE = frozenset({N.RUNNING, N.UNKNOWN})
# The system cannot end a rollout that stands here: a person rolls back again, or says that it was put right by hand.
TO_SETTLE = frozenset({R.NOT_RESTORED, R.UNKNOWN})
RUN_FINAL = frozenset({N.SUCCEEDED, N.FAILED, N.CANCELLED})


MOVES: dict[str, Mapping[str, frozenset[str]]] = {"rollout": ROLLOUT_MOVES, "run": RUN_MOVES, "step": STEP_MOVES}


def allowed(kind: str, old: str, new: str) -> bool:
    """Say whether a `kind` ("rollout", "run" or "step") may go from state `old` to state `new`."""
    return new in MOVES[kind].get(old, ())


def label(state: str) -> str:
    """Return a state as a page writes it: "ROLLED_BACK" -> "rolled back"."""
    return str(state).replace("_", " ").lower()
