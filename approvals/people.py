"""Users as the rules see them: names, and the roles that they hold now for one component."""

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser

from .groups import GROUPS
from .models import Delegation, Person
from .voices import Member


def members(component: str, *, now: datetime | None = None) -> list[Member]:
    """Return the active users who hold a role for a component, by name; deputies only where a moment is given."""
    users = get_user_model().objects.filter(is_active=True, groups__name__in=GROUPS).distinct()
    absent = _absent(now)
    found = [_member(user, component, absent) for user in users.select_related("person").prefetch_related("groups")]
    return sorted((member for member in found if member.roles), key=lambda member: (member.name, member.user_id))


def member(user_id: int, component: str, *, now: datetime | None = None) -> Member | None:
    """Return one user as the database has him now; None when there is no such user; deputies as in `members`."""
    found = get_user_model().objects.select_related("person").prefetch_related("groups").filter(pk=user_id).first()
    return _member(found, component, _absent(now, deputy=user_id)) if found else None


def current_roles(user: AbstractUser, component: str) -> frozenset[str]:
    """Return the roles that a user holds now for a component, read from the database, whatever the object says."""
    now = get_user_model().objects.select_related("person").prefetch_related("groups").filter(pk=user.pk).first()
    return _member(now, component, {}).roles if now and now.is_active else frozenset()


def limits(user: Any) -> frozenset[str] | None:
    """Return the components that a user's roles are limited to; None when they hold for every component."""
    person = person_of(user)
    return frozenset(person.components) if person and person.components else None


def printed_name(user: Any) -> str:
    """Return the name that a signature prints: the person's, else the account's."""
    person = person_of(user)
    return str((person and person.printed_name) or user.get_full_name() or user.get_username())


def told_apart(name: str, user: Any) -> str:
    """Return a name as it was printed with the account beside it: no printed name has parentheses."""
    return f"{name} ({user.get_username()})"


def accounts(user: Any, absent: Any) -> str:
    """Return the user name of who decided, and of the absent person for whom he did."""
    return f"{user.get_username()} for {absent.get_username()}" if absent else str(user.get_username())


def person_of(user: Any) -> Person | None:
    """Return the user's Person row; None when nobody has filled it in."""
    return getattr(user, "person", None)


def zone(user_id: int) -> str:
    """Return the name of a user's time zone, as the database has it now."""
    return Person.objects.filter(user_id=user_id).values_list("zone", flat=True).first() or "UTC"


def _absent(now: datetime | None, **only: int) -> dict[int, set[int]]:
    """Return deputy -> the people whom he may stand in for at a moment; nobody stands in for anybody at none."""
    found: dict[int, set[int]] = {}
    if now is None:
        return found
    given = Delegation.objects.filter(starts_at__lte=now, ends_at__gt=now, ended_at=None, **only)
    for deputy, user in given.values_list("deputy_id", "user_id"):
        found.setdefault(deputy, set()).add(user)
    return found


def _member(user: Any, component: str, absent: dict[int, set[int]]) -> Member:
    person = person_of(user)
    elsewhere = person is not None and person.components and component not in person.components
    names = () if elsewhere else (group.name for group in user.groups.all())
    return Member(
        user_id=user.pk,
        name=printed_name(user),
        roles=frozenset(names) & GROUPS.keys(),
        active=user.is_active,
        acts_for=frozenset(absent.get(user.pk, ())),
    )
