"""What a person may do: read it, compare it, and put it in force; `changes` says who may ask for that."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from monitoring import audit, canonical
from monitoring.audit import Actor, Sealed

from . import events, sessions
from .actors import about
from .groups import GROUPS
from .models import Person
from .people import person_of, printed_name
from .proof import Refused

ADMIN = "admin"
LABELS = {
    "active": "account",
    "email": "e-mail address of the account",
    "roles": "roles",
    "components": "components",
    "commit_emails": "commit e-mail addresses",
}


@dataclass(frozen=True, kw_only=True)
class Rights:
    """All that decides what a person may do; both kinds of address bar him from approving his own commits."""

    active: bool
    email: str
    roles: frozenset[str]
    components: tuple[str, ...]
    commit_emails: tuple[str, ...]

    def text(self) -> str:
        """Return the canonical JSON that a change keeps."""
        lists = {name: sorted(getattr(self, name)) for name in ("roles", "components", "commit_emails")}
        return canonical.dumps({**asdict(self), **lists})

    @classmethod
    def of_text(cls, text: str) -> "Rights":
        """Return what a change kept."""
        values = json.loads(text)
        lists = {name: tuple(values[name]) for name in ("components", "commit_emails")}
        return cls(**{**values, **lists, "roles": frozenset(values["roles"])})


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One line of what a change does; the note names what comes and goes where something stays."""

    label: str
    before: str
    after: str
    note: str = ""


def differences(old: Rights, new: Rights) -> list[Difference]:
    """Return what differs, in words."""
    found = []
    for name, label in LABELS.items():
        before, after = _words(name, old), _words(name, new)
        if before != after:
            come = [f"+ {word}" for word in after if word not in before]
            gone = [f"− {word}" for word in before if word not in after]
            note = " ".join([*come, *gone]) if set(before) & set(after) else ""
            found.append(Difference(label=label, before=", ".join(before), after=", ".join(after), note=note))
    return found


def put(user: Any, rights: Rights, *, why: str, by: Actor, now: datetime) -> None:
    """Put rights in force, in the transaction of whoever was allowed to; the only place that writes memberships."""
    old = rights_of(user)
    stays = rights.active and ADMIN in rights.roles
    if is_admin(user) and not stays and not _other_admin(user):
        raise Refused("This is the last active admin; make somebody else an admin first.")
    Person.objects.filter(pk=person_row(user).pk).update(
        components=sorted(rights.components), commit_emails=sorted(rights.commit_emails)
    )
    # the new ones first: the database refuses to take the last admin away
    user.groups.add(*Group.objects.filter(name__in=rights.roles))
    user.groups.remove(*Group.objects.filter(name__in=GROUPS.keys() - rights.roles))
    get_user_model().objects.filter(pk=user.pk).update(
        is_active=rights.active, email=rights.email, is_staff=ADMIN in rights.roles
    )
    if not rights.active:
        sessions.end_all(user.pk)  # else they would go on when the account is opened again
    data = {"old": told(old), "new": told(rights)}
    audit.append(action="person.rights_changed", by=by, subject=about(user), why=why, data=data, now=now)
    if not (old.active and rights.active):
        events.account_turned.send(sender=None, user=user, why=why, by=by, now=now)


def rights_of(user: Any) -> Rights:
    """Return what stands now, from the database."""
    row = get_user_model().objects.get(pk=user.pk)
    person = Person.objects.filter(user_id=user.pk).first() or Person()
    return Rights(
        active=row.is_active,
        email=row.email,
        roles=frozenset(Group.objects.filter(user=user.pk, name__in=GROUPS).values_list("name", flat=True)),
        components=tuple(sorted(person.components)),
        commit_emails=tuple(sorted(person.commit_emails)),
    )


def person_row(user: Any) -> Person:
    """Return a user's Person row, made when it is not there."""
    return Person.objects.get_or_create(user=user, defaults={"printed_name": printed_name(user)})[0]


def told(rights: Rights) -> dict[str, Any]:
    """Return rights as the audit tells them; addresses, which are personal data, by their salted hashes."""
    return {
        "active": rights.active,
        "email": Sealed(rights.email) if rights.email else "",
        "roles": sorted(rights.roles),
        "components": sorted(rights.components),
        "commit_emails": [Sealed(email) for email in sorted(rights.commit_emails)],
    }


def is_admin(user: Any) -> bool:
    """Say whether a user is an active admin now."""
    return get_user_model().objects.filter(pk=user.pk, is_active=True, groups__name=ADMIN).exists()


def admins() -> list[Any]:
    """Return the active admins whose role holds for every component: they may change people."""
    found = get_user_model().objects.filter(is_active=True, groups__name=ADMIN).select_related("person")
    people = ((user, person_of(user)) for user in found.order_by("pk"))
    return [user for user, person in people if person is None or not person.components]


def changes_people(user: Any) -> bool:
    """Say whether a user is one of those who may change people now."""
    return user.pk in {admin.pk for admin in admins()}


def _other_admin(user: Any) -> bool:
    others = get_user_model().objects.filter(is_active=True, groups__name=ADMIN).exclude(pk=user.pk)
    return bool(others.exists())


def _words(name: str, rights: Rights) -> tuple[str, ...]:
    value = getattr(rights, name)
    if name == "active":
        return ("open",) if value else ("closed",)
    if name == "email":
        return (value,) if value else ("none",)
    return tuple(sorted(value)) or ("all" if name == "components" else "none",)
