"""Out of office: a person names, for a while, a deputy who may approve on his behalf; every change is audited."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from monitoring import audit, unseen
from monitoring.audit import Actor

from . import events, people, roles
from .actors import about
from .groups import CONSENTING
from .models import Delegation, Person
from .proof import DOORS, Refused

LONGEST = timedelta(days=30)


def give(
    user: User,
    deputy: User,
    *,
    starts_at: datetime,
    ends_at: datetime,
    why: str,
    by: Actor,
    now: datetime,
) -> Delegation:
    """Let a deputy approve on the user's behalf between two moments; raise Refused when that cannot be.

    A deputy uses the roles that the user holds at each moment, never more: no chain, nobody's second delegation.
    """
    _in_person(user, by)
    starts_at = max(starts_at, now)
    _check_span(starts_at, ends_at, now)
    if user.pk == deputy.pk:
        raise Refused("Name somebody else: nobody is his own deputy.")
    if not unseen.seen_length(why):
        raise Refused("Say why, for example until when you are away: it stands in the audit.")
    with audit.turn():
        _hold(user, deputy)
        for one in (user, deputy):
            if not may_consent(one):
                raise Refused(f"{people.printed_name(one)} holds none of the roles {', '.join(CONSENTING)}.")
        _check_others(user, deputy, starts_at, ends_at)
        given = Delegation.objects.create(
            user=user, deputy=deputy, starts_at=starts_at, ends_at=ends_at, why=why.strip()[:300], given_at=now
        )
        data = {
            "delegation": given.pk,
            "deputy": deputy.pk,
            "starts_at": starts_at.isoformat(),
            "ends_at": ends_at.isoformat(),
        }
        audit.append(action="delegation.given", by=by, subject=about(user), why=given.why, data=data, now=now)
    return given


def end(given: Delegation, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """End a delegation before its time: whoever gave it, the deputy, or an admin; what was approved by it stands."""
    _in_person(user, by)
    if user.pk not in (given.user_id, given.deputy_id) and not roles.is_admin(user):
        raise Refused("A delegation is ended by whoever gave it, by the deputy, or by an admin.")
    with audit.turn():
        open_ones = Delegation.objects.filter(pk=given.pk, ended_at=None, ends_at__gt=now)
        if open_ones.update(ended_at=now, ended_by=user, ended_why=why.strip()[:300]) != 1:
            raise Refused("This delegation has ended already.")
        data = {"delegation": given.pk, "deputy": given.deputy_id}
        audit.append(action="delegation.ended", by=by, subject=about(given.user), why=why.strip(), data=data, now=now)
    given.refresh_from_db()


def connect() -> None:
    """End the delegations of accounts from now on, whoever closes, opens or resets them."""
    events.account_turned.connect(end_all, dispatch_uid="approvals.delegation")


def end_all(*, user: User, why: str, by: Actor, now: datetime, **_: object) -> None:
    """End what an account gave and what it was given, in the transaction that closes, opens or resets it."""
    mine = Delegation.objects.filter(Q(user=user.pk) | Q(deputy=user.pk), ended_at=None, ends_at__gt=now)
    for one in mine.select_related("user").order_by("pk"):
        Delegation.objects.filter(pk=one.pk).update(ended_at=now, ended_by=by.id, ended_why=why.strip()[:300])
        data = {"delegation": one.pk, "deputy": one.deputy_id}
        audit.append(action="delegation.ended", by=by, subject=about(one.user), why=why.strip(), data=data, now=now)


def live(*, now: datetime) -> QuerySet[Delegation]:
    """Return the delegations that hold, or will, with their people."""
    rows: QuerySet[Delegation] = Delegation.objects.filter(ended_at=None, ends_at__gt=now)
    return rows.select_related("user__person", "deputy__person").order_by("starts_at", "pk")


def deputies(user: User) -> QuerySet[User]:
    """Return whom a user could name: everybody else who is active and could consent himself."""
    others = User.objects.filter(is_active=True, groups__name__in=CONSENTING).exclude(pk=user.pk)
    return others.select_related("person").distinct().order_by("username")


def may_consent(user: User) -> bool:
    """Say whether a user is active and holds a role that is asked for consents, whatever the component."""
    return User.objects.filter(pk=user.pk, is_active=True, groups__name__in=CONSENTING).exists()


def _in_person(user: User, by: Actor) -> None:
    if by.via not in DOORS:
        raise Refused("A token cannot do this: sign in with a browser.")
    if by.id != user.pk:
        raise Refused("Nobody does this in another person's name.")


def _check_span(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if ends_at <= starts_at:
        raise Refused("It ends before it begins; give an end that lies ahead.")
    if ends_at - starts_at > LONGEST:
        raise Refused(f"A delegation lasts {LONGEST.days} days at most; give another one when that one is over.")


def _hold(*users: Any) -> None:
    """Keep others from delegating to or from these people until this transaction ends; always in the same order."""
    for user in sorted(users, key=lambda one: one.pk):
        Person.objects.get_or_create(user=user, defaults={"printed_name": people.printed_name(user)})
        Person.objects.filter(user=user).update(zone=F("zone"))


def _check_others(user: User, deputy: User, starts_at: datetime, ends_at: datetime) -> None:
    """Raise Refused when another delegation of these two is in the way at the same time."""
    rows = Delegation.objects.filter(ended_at=None, starts_at__lt=ends_at, ends_at__gt=starts_at)
    other = rows.filter(Q(user__in=[user.pk, deputy.pk]) | Q(deputy=user.pk)).select_related("deputy__person").first()
    if other is None:
        return
    until = f"{timezone.localtime(other.ends_at):%Y-%m-%d %H:%M}"
    if other.user_id == user.pk:
        raise Refused(f"You have named {people.printed_name(other.deputy)} until {until}; end that first.")
    if other.user_id == deputy.pk:
        raise Refused(f"{people.printed_name(deputy)} is out of office as well until {until}; name somebody else.")
    raise Refused(f"You stand in for somebody yourself until {until}; that is never passed on. End that first.")
