"""Change what people may do: roles, components, commit addresses; never one's own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from monitoring import audit
from monitoring.audit import Actor

from .actors import about
from .groups import GROUPS
from .models import Person
from .people import printed_name
from .proof import Refused


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What an admin decides about another person."""

    roles: frozenset[str]
    components: tuple[str, ...]
    commit_emails: tuple[str, ...]


def set_profile(user: Any, *, name: str, zone: str, by: Actor, now: datetime) -> None:
    """Set printed name and time zone; old signatures keep the name that they were given under."""
    with transaction.atomic():
        person = _person(user)
        changed = [key for key, value in (("printed_name", name), ("zone", zone)) if getattr(person, key) != value]
        if changed:
            Person.objects.filter(pk=person.pk).update(printed_name=name, zone=zone)
            audit.append(action="person.changed", by=by, subject=about(user), data={"changed": changed}, now=now)


def set_rights(user: Any, rights: Rights, *, why: str, by: Actor, now: datetime) -> None:
    """Set roles, components and commit addresses of another person; raise Refused for oneself and for the last admin.

    An own commit address taken away would lift the bar on approving one's own commits.
    """
    if by.id == user.pk:
        raise Refused("Another admin has to change your own roles, components and commit addresses.")
    with transaction.atomic():
        person = _person(user)
        old = rights_of(user)
        if old == rights:
            return
        if "admin" in old.roles - rights.roles and _admins(besides=user) == 0:
            raise Refused("This is the last active admin; make somebody else an admin first.")
        Person.objects.filter(pk=person.pk).update(
            components=list(rights.components), commit_emails=list(rights.commit_emails)
        )
        user.groups.remove(*Group.objects.filter(name__in=GROUPS.keys() - rights.roles))
        user.groups.add(*Group.objects.filter(name__in=rights.roles))
        # commit addresses are personal data, and an entry is for ever: their number has to do
        data = {"old": _told(old), "new": _told(rights)}
        audit.append(action="person.rights_changed", by=by, subject=about(user), why=why, data=data, now=now)


def rights_of(user: Any) -> Rights:
    """Return what stands now, from the database."""
    person = Person.objects.filter(user_id=user.pk).first() or Person()
    return Rights(
        roles=frozenset(Group.objects.filter(user=user.pk, name__in=GROUPS).values_list("name", flat=True)),
        components=tuple(person.components),
        commit_emails=tuple(person.commit_emails),
    )


def is_admin(user: Any) -> bool:
    """Say whether a user is an active admin now."""
    return get_user_model().objects.filter(pk=user.pk, is_active=True, groups__name="admin").exists()


def _told(rights: Rights) -> dict[str, Iterable[str] | int]:
    return {
        "roles": sorted(rights.roles),
        "components": sorted(rights.components),
        "commit_emails": len(rights.commit_emails),
    }


def _admins(besides: Any) -> int:
    return get_user_model().objects.filter(is_active=True, groups__name="admin").exclude(pk=besides.pk).count()


def _person(user: Any) -> Person:
    return Person.objects.get_or_create(user=user, defaults={"printed_name": printed_name(user)})[0]
