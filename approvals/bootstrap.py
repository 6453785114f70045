"""People who are made past the two admins that a change of people takes: only where those are not there yet.

The first two admins of an empty installation (one link, one use, one hour), and from a shell one more while there are
fewer than three, because with two, one of whom cannot sign in, nobody could confirm anything any more.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.urls import reverse

from monitoring import audit, notices
from monitoring.audit import Actor

from . import change_rules, changes, names, roles
from .actors import about
from .addresses import folded
from .groups import ensure_groups
from .models import Person, WelcomeLink
from .proof import Refused

VALID = timedelta(hours=1)
ENOUGH = 3  # two admins who decide about the third
LINK_ID = 1  # one row: a newer link takes the place of an older one


@dataclass(frozen=True, kw_only=True)
class NewAdmin:
    """What the welcome page asks of each of the two."""

    username: str
    printed_name: str
    email: str
    password: str


def one_time_link(base_url: str, now: datetime) -> str | None:
    """Return a link that creates the first two admins, valid for an hour; None as soon as any user exists."""
    if get_user_model().objects.exists():
        return None
    token = secrets.token_urlsafe(32)
    values = {"token_sha256": _hash(token), "expires_at": now + VALID, "used_at": None}
    WelcomeLink.objects.update_or_create(pk=LINK_ID, defaults=values)
    return base_url.rstrip("/") + reverse("first_admins", args=[token])


def is_valid(token: str, *, now: datetime) -> bool:
    """Say whether a token still opens the welcome page."""
    unused = WelcomeLink.objects.filter(token_sha256=_hash(token), used_at=None, expires_at__gt=now).exists()
    return unused and not get_user_model().objects.exists()


def create_first_admins(token: str, admins: Sequence[NewAdmin], *, by: Actor, now: datetime) -> list[AbstractUser]:
    """Create both admins in one transaction and use the link up; raise Refused when it no longer holds."""
    if len({admin.username.casefold() for admin in admins}) != 2:
        raise Refused("Two different people are needed: a change of policy or roles needs a second admin.")
    if len({folded(admin.email) for admin in admins}) != 2:
        raise Refused("Each of the two needs an e-mail address of his own: it says whose a commit is.")
    first, second = ({*names.looks(one.username), *names.looks(one.printed_name)} for one in admins)
    if first & second:
        raise Refused("The names of the two look alike: signatures have to tell them apart.")
    with audit.turn():
        live = WelcomeLink.objects.filter(token_sha256=_hash(token), used_at=None, expires_at__gt=now)
        if live.update(used_at=now) != 1 or get_user_model().objects.exists():
            raise Refused("This link was used or is out of date; start the server again to get a new one.")
        ensure_groups()
        return [_create(admin, by=by, now=now) for admin in admins]


def add_admin(user: AbstractUser, *, beside: AbstractUser, why: str, by: Actor, now: datetime) -> None:
    """Make an account admin from a shell; raise Refused once there are enough admins to do it in the browser.

    The caller has checked the passwords of both: of the admin who is there, and of the one who becomes it.
    """
    with audit.turn():
        change_rules.take_people()
        if by.via != "shell":
            raise Refused("An admin is added past the others from a shell on the server only.")
        if not roles.changes_people(beside) or beside.pk == user.pk:
            raise Refused("This needs an admin whose role holds for every component, and another person.")
        if len(roles.admins()) >= ENOUGH:
            raise Refused(f"There are {ENOUGH} admins already: propose it on the person's page, another confirms it.")
        old = roles.rights_of(user)
        new = replace(old, roles=old.roles | {roles.ADMIN}, components=())
        if old == new:
            raise Refused(f"{user.get_username()} is such an admin already.")
        roles.put(user, new, why=why, by=by, now=now)
        context = {"by": by.name, "why": why}
        keys = {"key": f"admin-added-{user.pk}-{audit.stamp(now)}", "url": ""}
        notices.queue(
            "admin_added",
            subject=about(user),
            severity="critical",
            context=context,
            routes=changes.ROUTES,
            now=now,
            **keys,
        )


def _create(admin: NewAdmin, *, by: Actor, now: datetime) -> AbstractUser:
    user = get_user_model().objects.create_user(admin.username, admin.email, admin.password, is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    Person.objects.create(user=user, printed_name=admin.printed_name)
    why = "first admin of an empty installation"
    audit.append(action="user.added", by=by, subject=about(user), why=why, data={"roles": ["admin"]}, now=now)
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
