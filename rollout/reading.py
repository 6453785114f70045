"""Records who opened the difference that is to be signed: seen from the server, because a page can claim anything."""

from datetime import datetime

from django.contrib.auth.models import User

from approvals.models import SignOff
from monitoring import audit
from monitoring.audit import Actor
from rollout import transitions
from rollout.models import DiffReading, Rollout


def opened(rollout: Rollout, *, user: User, by: Actor, now: datetime) -> bool:
    """Record that a person was sent the difference of what is frozen; return whether it is the first time.

    Only while something can be decided over it: what is looked at afterwards says nothing about a decision.
    """
    sign_off = rollout.sign_off
    if sign_off is None or sign_off.state not in SignOff.LIVE or has_opened(rollout, user):
        return False
    with audit.turn():
        _, first = DiffReading.objects.get_or_create(
            rollout=rollout, user=user, digest=rollout.digest, defaults={"at": now}
        )
        if first:
            data = {"digest": rollout.digest, "sign_off": sign_off.pk}
            audit.append(
                action="rollout.diff_opened", by=by, subject=transitions.subject_of(rollout), data=data, now=now
            )
    return first


def has_opened(rollout: Rollout, user: User) -> bool:
    """Say whether a person was sent the difference of exactly the digest that is frozen now."""
    return DiffReading.objects.filter(rollout=rollout, user=user, digest=rollout.digest).exists()
