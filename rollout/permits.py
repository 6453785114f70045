"""Asks, before anything is done, whether this person may, in this way, and whether the target is free for it."""

from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals import ledger, people
from approvals.ledger import Refused
from monitoring.audit import Actor
from rollout import states
from rollout.models import Freeze, Rollout, Target
from rollout.states import RolloutState as R

# A token is no person, and the machinery asks for nothing in a person's name.
DOORS = ("browser", "shell")


class TargetHeldError(Refused):
    """The target is locked, frozen, retired or blocked: what waits for it goes on waiting."""


def in_person(by: Actor, user: User) -> None:
    """Raise Refused unless the person acts himself, in a browser or in a shell."""
    if by.via not in DOORS:
        raise Refused("A token can never do this: sign in with a browser, or use the command in a shell.")
    if by.id != user.pk:
        raise Refused("Nobody does this in another person's name.")


def require_reason(why: str) -> None:
    """Raise Refused unless there is a reason of a few letters at least."""
    if len(why.strip()) < 5:
        raise Refused("Give a reason, in a sentence: it stands in the audit.")


def require(user: User, target: Target, allowed: frozenset[str] | set[str]) -> None:
    """Raise PermissionDenied, naming the roles that could, unless the user holds one of them for the component now."""
    if not ledger.current_roles(user, target.component.name) & allowed:
        roles = " or ".join(sorted(allowed))
        raise PermissionDenied(
            f"This needs the role {roles} for {target.component.name}; {people.printed_name(user)} has none of them."
        )


def require_free(target: Target, *, now: datetime) -> None:
    """Raise TargetHeldError while the target is locked, frozen, or blocked by a rollout that a person has to decide."""
    if target.retired:
        raise TargetHeldError(f"{target} is retired: the configuration in force does not declare it any more.")
    if target.locked:
        raise TargetHeldError(f"{target} is locked by {target.locked_by}: {target.lock_reason}")
    freezes = Freeze.objects.filter(component=target.component, starts_at__lte=now, ends_at__gt=now)
    freeze = next((one for one in freezes if one.environment_id in (None, target.environment_id)), None)
    if freeze is not None:
        raise TargetHeldError(f"{target} is frozen until {freeze.ends_at:%Y-%m-%d %H:%M} UTC: {freeze.reason}")
    blocker = Rollout.objects.filter(target=target, state__in=[R.UNKNOWN, R.NOT_RESTORED]).first()
    if blocker is not None:
        raise TargetHeldError(
            f"{target} is blocked: rollout {blocker.pk} is {states.label(blocker.state)}; decide that first."
        )
