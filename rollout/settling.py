"""A person settles a rollout that the system cannot end by itself: NOT_RESTORED or UNKNOWN, put right by hand."""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import SYSTEM, Actor
from monitoring.unseen import REASON_MIN, seen_length
from rollout import access, as_told, epochs, locking, opening, permits, probing, states, transitions
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.models import Rollout, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N


def settle(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Record that the target was put right by hand, and free it; it stays locked until somebody unlocks it.

    What is live is read from the target, not typed. Raises Refused while a command may still be changing the target.
    """
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.STOPPERS)
    if seen_length(why) < REASON_MIN:
        raise Refused("Say in a sentence what was found and what was done: it stands in the audit.")
    if rollout.state not in states.TO_SETTLE:
        as_told.set_right(rollout)
    if rollout.state not in states.TO_SETTLE:
        raise Refused(f"There is nothing to settle: the rollout is {states.label(rollout.state)}.")
    unknown = rollout.runs.filter(state=N.UNKNOWN).first()
    if probing.is_held(rollout.target, unknown):
        raise Refused(f"A command still holds {rollout.target}; wait until it has ended.")
    live, seen = _live(rollout.target)
    said = f"settled by hand by {by.name}: {why.strip()} (live is {seen})"
    if unknown is not None and (unseen := probing.unseen(unknown)):
        said = f"{said}. {unseen}"
    with audit.turn():
        for run in rollout.runs.filter(state=N.UNKNOWN):
            opening.end_run(run, N.FAILED, why=said, by=SYSTEM, now=now)
        Target.objects.filter(pk=rollout.target_id).update(live_version=live)
        epochs.lift_epoch(rollout.target)
        transitions.move(rollout, R.ROLLED_BACK_UNHEALTHY, by=by, now=now, why=said, state_why=said, ended_at=now)
        if not Target.objects.filter(pk=rollout.target_id, locked=True).exists():
            locking.set_lock(rollout.target, locked=True, why=said, by=SYSTEM, now=now)


def _live(target: Target) -> tuple[str, str]:
    """Return the version that is live, and how to say it; of another host's target pulse asks that host."""
    if target.host_id != settings.GR_HOST_ID:
        return "", f"asked of host {target.host_id}"
    version = version_of(DRIVERS[target.spec.driver].live(target.spec))
    return version, version or "nothing"
