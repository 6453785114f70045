"""How runs end well: the last step succeeded, and the rollout moves on; one transaction with all that follows."""

from datetime import datetime

from monitoring import audit, watcher
from monitoring.audit import SYSTEM
from rollout import actions, aftermath, commands, drafting, freezing, opening
from rollout.models import Rollout, Run
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.transitions import move


def finished(run: Run, *, now: datetime) -> None:
    """End a run whose last step succeeded, and move its rollout on."""
    ends = {Run.Kind.VALIDATE: _validated, Run.Kind.DEPLOY: _deployed, Run.Kind.ROLLBACK: _rolled_back}
    with audit.turn():
        move(run, N.SUCCEEDED, by=SYSTEM, now=now, ended_at=now)
        ends[Run.Kind(run.kind)](run, now)


def _validated(run: Run, now: datetime) -> None:
    rollout = run.rollout
    try:
        Rollout.objects.filter(pk=rollout.pk).update(backup=commands.backup_of(run))
        freezing.require_still(rollout, since=run.created_at)
        freezing.freeze(rollout, by=opening.opener(run), now=now)
    except actions.Refused as refusal:
        move(run.rollout, R.DRAFT, by=SYSTEM, now=now, why=str(refusal), state_why=str(refusal))
    drafting.yield_to_newer(rollout, by=SYSTEM, now=now)


def _deployed(run: Run, now: datetime) -> None:
    if run.watch is not None:
        watcher.close(run.watch, now=now)
    move(
        run.rollout,
        R.SUCCEEDED,
        by=SYSTEM,
        now=now,
        why="watched to the end without a breach",
        ended_at=now,
        needs_decision="",
    )


def _rolled_back(run: Run, now: datetime) -> None:
    rollout = run.rollout
    why = f"restored from {run.restores}, every file equal by sha256, 3 health checks and smoke tests OK"
    move(rollout, R.ROLLED_BACK, by=SYSTEM, now=now, why=why, ended_at=now)
    aftermath.lock_after_rollback(run, why=why, now=now)
