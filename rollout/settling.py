"""A person settles a rollout that the system cannot end by itself: NOT_RESTORED or UNKNOWN, put right by hand."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from approvals.ledger import Refused
from monitoring.audit import SYSTEM, Actor
from rollout import access, actions, commands, permits, runner, states, transitions
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S


def settle(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Record that the target was put right by hand, and free it; it stays locked until somebody unlocks it.

    What is live is read from the target, not typed. Raises Refused while a command may still be changing the target.
    """
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.STOPPERS)
    if len(why.strip()) < 5:
        raise Refused("Say in a sentence what was found and what was done: it stands in the audit.")
    if rollout.state not in states.TO_SETTLE:
        raise Refused(f"There is nothing to settle: the rollout is {states.label(rollout.state)}.")
    if runner.is_held(commands.lock_path(rollout.target)):
        raise Refused(f"A command still holds {rollout.target}; wait until it has ended.")
    target = rollout.target.spec
    live = version_of(DRIVERS[target.driver].live(target))
    said = f"settled by hand by {by.name}: {why.strip()} (live is {live or 'nothing'})"
    with transaction.atomic():
        for run in rollout.runs.filter(state=N.UNKNOWN):
            _end(run, said, now)
        Target.objects.filter(pk=rollout.target_id).update(live_version=live)
        transitions.move(rollout, R.ROLLED_BACK_UNHEALTHY, by=by, now=now, why=said, state_why=said, ended_at=now)
        if not Target.objects.filter(pk=rollout.target_id, locked=True).exists():
            actions.set_lock(rollout.target, locked=True, why=said, by=SYSTEM, now=now)


def _end(run: Run, why: str, now: datetime) -> None:
    for step in run.steps.filter(state__in=[S.UNKNOWN, S.PENDING]):
        to = S.FAILED if step.state == S.UNKNOWN else S.SKIPPED
        transitions.move(step, to, by=SYSTEM, now=now, why=why, ended_at=now)
    transitions.move(run, N.FAILED, by=SYSTEM, now=now, why=why, ended_at=now)
