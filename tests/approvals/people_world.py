"""Admins who propose and answer changes of people."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from approvals import changes, roles
from approvals.change_rules import Asker
from approvals.models import Change
from approvals.roles import Rights

from .world import NOW, actor


def asker(user: User, now: datetime = NOW, **changed: Any) -> Asker:
    """Return an admin who has just proved that it is he."""
    return Asker(**{"user": user, "authenticated_at": now, "by": actor(user), "now": now, **changed})


def with_roles(user: User, *names: str, **changed: Any) -> Rights:
    """Return a person's rights with these roles instead."""
    return replace(roles.rights_of(user), roles=frozenset(names), **changed)


def proposed(by: User, about: User, *names: str, now: datetime = NOW, **changed: Any) -> Change:
    """Propose that somebody holds these roles."""
    rights = with_roles(about, *names, **changed)
    return changes.propose(about, rights, kind="RIGHTS", why="new on call", asker=asker(by, now))


def password_proposed(by: User, about: User, now: datetime = NOW) -> Change:
    """Propose that somebody chooses a new password."""
    return changes.propose(about, None, kind="PASSWORD", why="forgot it", asker=asker(by, now))
