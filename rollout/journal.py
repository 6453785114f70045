"""The journal of effects: what is about to be changed, and that it did not happen; in rows, and told by the audit.

The entries are about the rollout: so they are found whatever somebody wrote into the rows of runs, steps and effects.
"""

from datetime import datetime

from monitoring import audit
from monitoring.audit import SYSTEM, Actor
from rollout import transitions
from rollout.models import Effect, Rollout, Step

INTENDED, DID_NOT_HAPPEN = "effect.intended", "effect.did_not_happen"
WITHHELD = "rollout.rollback_withheld"


def intend(step: Step, *, now: datetime) -> None:
    """Write that the claimed attempt at a step is about to change the target."""
    Effect.objects.create(step=step, attempt=step.attempt, what=step.title, intended_at=now)
    _tell(INTENDED, step, why=step.title, by=SYSTEM, now=now)


def did_not_happen(step: Step, why: str, *, by: Actor = SYSTEM, now: datetime) -> None:
    """Write that what was intended did not happen, which stays true of this attempt for ever; once is enough."""
    with audit.turn():
        mine = step.effects.filter(attempt=step.attempt, observed_at=None)
        if mine.update(observed_at=now, observed=f"{Effect.NEVER}: {why}"[:300]):
            _tell(DID_NOT_HAPPEN, step, why=why, by=by, now=now)


def withhold_rollback(rollout: Rollout, *, why: str, now: datetime) -> None:
    """Let a breach of this rollout's watch ask people, and roll back nothing by itself."""
    with audit.turn():
        Rollout.objects.filter(pk=rollout.pk).update(automatic_rollback_used=True)
        audit.append(action=WITHHELD, by=SYSTEM, subject=transitions.subject_of(rollout), why=why, now=now)


def _tell(action: str, step: Step, *, why: str, by: Actor, now: datetime) -> None:
    data = {"run": step.run_id, "step": step.pk, "number": step.number, "attempt": step.attempt}
    audit.append(action=action, by=by, subject=transitions.subject_of(step.run.rollout), why=why, data=data, now=now)
