"""The first two admins of an empty installation: one link, one use, one hour."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.db import transaction
from django.urls import reverse

from monitoring import audit
from monitoring.audit import Actor

from .actors import about
from .groups import ensure_groups
from .models import Person, WelcomeLink
from .proof import Refused

VALID = timedelta(hours=1)
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
    with transaction.atomic():
        live = WelcomeLink.objects.filter(token_sha256=_hash(token), used_at=None, expires_at__gt=now)
        if live.update(used_at=now) != 1 or get_user_model().objects.exists():
            raise Refused("This link was used or is out of date; start the server again to get a new one.")
        ensure_groups()
        return [_create(admin, by=by, now=now) for admin in admins]


def _create(admin: NewAdmin, *, by: Actor, now: datetime) -> AbstractUser:
    user = get_user_model().objects.create_user(admin.username, admin.email, admin.password, is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    Person.objects.create(user=user, printed_name=admin.printed_name)
    why = "first admin of an empty installation"
    audit.append(action="user.added", by=by, subject=about(user), why=why, data={"roles": ["admin"]}, now=now)
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
