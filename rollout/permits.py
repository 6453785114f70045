"""Asks, before anything is done, whether this person may, in this way, and whether the target is free for it."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Max

from approvals import ledger, people
from approvals.ledger import Refused
from approvals.models import SignOff
from monitoring import anchors, unseen
from monitoring.audit import Actor
from monitoring.models import AuditEntry
from rollout import places, states
from rollout.models import BreakGlass, Freeze, Rollout, Target
from rollout.states import RolloutState as R

# A token is no person, and the machinery asks for nothing in a person's name.
DOORS = ("browser", "shell")
# Clocks of several hosts may differ by so much.
CLOCK_SLACK = timedelta(seconds=60)


class TargetHeldError(Refused):
    """The target is locked, frozen, retired or blocked: what waits for it goes on waiting."""


class ReviewDueError(TargetHeldError):
    """A break-glass of the component was not reviewed yet; `url` is where that is done."""

    def __init__(self, glass: BreakGlass) -> None:
        super().__init__(f"{glass.rollout.target.component.name} is held: {glass.holds}")
        self.url = f"{glass.rollout.get_absolute_url()}#glass"


def in_person(by: Actor, user: User) -> None:
    """Raise Refused unless the person acts himself, in a browser or in a shell."""
    if by.via not in DOORS:
        raise Refused("A token can never do this: sign in with a browser, or use the command in a shell.")
    if by.id != user.pk:
        raise Refused("Nobody does this in another person's name.")


def require_reason(why: str) -> None:
    """Raise Refused unless there is a reason of a few letters at least."""
    if unseen.seen_length(why) < unseen.REASON_MIN:
        raise Refused("Give a reason, in a sentence: it stands in the audit.")


def require(user: User, target: Target, allowed: frozenset[str] | set[str]) -> None:
    """Raise PermissionDenied, naming the roles that could, unless the user holds one of them for the component now."""
    if not ledger.current_roles(user, target.component.name) & allowed:
        roles = " or ".join(sorted(allowed))
        raise PermissionDenied(
            f"This needs the role {roles} for {target.component.name}; {people.printed_name(user)} has none of them."
        )


def require_room() -> None:
    """Raise TargetHeldError while what a run leaves could not be kept: the disk is full, or a place is read-only."""
    why = places.refusal()
    if why:
        raise TargetHeldError(why)


def require_anchored() -> None:
    """Raise TargetHeldError while the audit in the database is not the one that the anchor file knows."""
    why = anchors.refusal()
    if why:
        raise TargetHeldError(why)


def require_clock(sign_off: SignOff, *, now: datetime) -> None:
    """Raise TargetHeldError while the clock stands before what the audit knows of since the sign-off was opened.

    Else an expired consent would revive. Not the newest entry alone: the very click has the wrong time as well.
    """
    about = {"subject_kind": sign_off.subject_kind, "subject_id": sign_off.subject_id}
    opened = AuditEntry.objects.filter(action="sign_off.opened", **about).aggregate(seq=Max("seq"))["seq"] or 0
    newest, known = AuditEntry.objects.filter(seq__gte=opened).aggregate(at=Max("at"), seq=Max("seq")).values()
    if newest is None and known is not None:
        raise TargetHeldError("The audit has an entry whose time cannot be read: manage.py audit verify names it.")
    if newest is not None and now < newest - CLOCK_SLACK:
        raise TargetHeldError(
            f"The clock of this host says {now:%Y-%m-%d %H:%M:%S} UTC, but the audit has an entry of "
            f"{newest:%Y-%m-%d %H:%M:%S}: the clock was set back. Set it right, and the run goes on; if the later "
            "time was the wrong one, abort it and submit again."
        )


def require_free(target: Target, *, now: datetime, emergency: bool = False) -> None:
    """Raise TargetHeldError while the target is locked, frozen, or blocked by what a person has to decide or review.

    An emergency (break-glass) passes a freeze and a review that is due; nothing passes a lock or an unknown outcome.
    """
    require_room()
    require_anchored()
    if target.retired:
        raise TargetHeldError(f"{target} is retired: the configuration in force does not declare it any more.")
    if target.locked:
        raise TargetHeldError(f"{target} is locked by {target.locked_by}: {target.lock_reason}")
    if not emergency:
        _require_calm(target, now)
    blocker = Rollout.objects.filter(target=target, state__in=[R.UNKNOWN, R.NOT_RESTORED]).first()
    if blocker is not None:
        raise TargetHeldError(
            f"{target} is blocked: rollout {blocker.pk} is {states.label(blocker.state)}; decide that first."
        )


def freeze_of(target: Target, *, now: datetime) -> str:
    """Return the sentence of the freeze that holds a target now; "" when there is none."""
    freezes = Freeze.objects.filter(component=target.component, starts_at__lte=now, ends_at__gt=now)
    freeze = next((one for one in freezes if one.environment_id in (None, target.environment_id)), None)
    return f"{target} is frozen until {freeze.ends_at:%Y-%m-%d %H:%M} UTC: {freeze.reason}" if freeze else ""


def review_due(target: Target) -> BreakGlass | None:
    """Return the oldest break-glass of a target's component that keeps the next normal rollout from starting."""
    return BreakGlass.objects.holding(target.component).order_by("pk").first()


def _require_calm(target: Target, now: datetime) -> None:
    frozen = freeze_of(target, now=now)
    if frozen:
        raise TargetHeldError(frozen)
    glass = review_due(target)
    if glass is not None:
        raise ReviewDueError(glass)
