"""Users as the rules see them: names, and the roles that they hold now for one component."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser

from .groups import GROUPS
from .models import Person
from .voices import Member


def members(component: str) -> list[Member]:
    """Return the active users who hold a role for a component, by name."""
    users = get_user_model().objects.filter(is_active=True, groups__name__in=GROUPS).distinct()
    found = [_member(user, component) for user in users.select_related("person").prefetch_related("groups")]
    return sorted((member for member in found if member.roles), key=lambda member: (member.name, member.user_id))


def member(user_id: int, component: str) -> Member | None:
    """Return one user as the database has him now; None when there is no such user."""
    found = get_user_model().objects.select_related("person").prefetch_related("groups").filter(pk=user_id).first()
    return _member(found, component) if found else None


def current_roles(user: AbstractUser, component: str) -> frozenset[str]:
    """Return the roles that a user holds now for a component, read from the database, whatever the object says."""
    now = member(user.pk, component)
    return now.roles if now and now.active else frozenset()


def printed_name(user: Any) -> str:
    """Return the name that a signature prints: the person's, else the account's."""
    person = person_of(user)
    return str((person and person.printed_name) or user.get_full_name() or user.get_username())


def person_of(user: Any) -> Person | None:
    """Return the user's Person row; None when nobody has filled it in."""
    return getattr(user, "person", None)


def zone(user_id: int) -> str:
    """Return the name of a user's time zone, as the database has it now."""
    return Person.objects.filter(user_id=user_id).values_list("zone", flat=True).first() or "UTC"


def users_by_commit_email(emails: Iterable[str]) -> dict[str, int]:
    """Return commit e-mail -> user id for those that somebody owns: entered on the person, or the account's own.

    Compared without case. A disabled user is matched too: a commit does not stop being his.
    """
    wanted = {email.casefold() for email in emails if email}
    found: dict[str, int] = {}
    for user in get_user_model().objects.select_related("person").order_by("pk"):
        person = person_of(user)
        own = {user.email, *(person.commit_emails if person else ())}
        found.update({email.casefold(): user.pk for email in own if email and email.casefold() in wanted})
    return found


def _member(user: Any, component: str) -> Member:
    person = person_of(user)
    elsewhere = person is not None and person.components and component not in person.components
    names = () if elsewhere else (group.name for group in user.groups.all())
    return Member(
        user_id=user.pk, name=printed_name(user), roles=frozenset(names) & GROUPS.keys(), active=user.is_active
    )
