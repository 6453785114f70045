"""API tokens: made for a component, shown once, kept as a sha256, ended by time or by hand; each change is audited."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q

from approvals import events, ledger
from approvals.ledger import Refused
from monitoring import audit, unseen
from monitoring.audit import Actor, Subject
from rollout import access, permits
from rollout.models import SCOPES, Component, Token

MARK = "gr_"  # leak scanners find gr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}
PREFIX_LENGTH = len(MARK) + 8
DAYS_MAX = 90
MAKERS = access.OWNERS | access.ADMINS
# `last_used_at` is for people; one write a minute is enough.
USED_AGAIN = timedelta(minutes=1)


def create(
    component: Component, *, name: str, scopes: Collection[str], days: int, user: User, by: Actor, now: datetime
) -> tuple[Token, str]:
    """Make a token for a component; return its row and its text, which is kept nowhere. Raises Refused.

    `days` until it expires, at most 90. It can do what its owner's roles allow, within its scopes, and nothing more.
    """
    permits.in_person(by, user)
    require_maker(user, component)
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise Refused(f"Choose at least one of the scopes {', '.join(SCOPES)}.")
    if not 1 <= days <= DAYS_MAX:
        raise Refused(f"A token lives 1 to {DAYS_MAX} days.")
    if not unseen.seen_length(name) or len(name.strip()) > 80:
        raise Refused("Name the token by what uses it, in 1 to 80 letters.")
    prefix = MARK + secrets.token_hex(4)
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    with audit.turn():
        token = Token.objects.create(
            name=name.strip(),
            prefix=prefix,
            sha256=_digest(text),
            owner=user,
            component=component,
            scopes=sorted(scopes),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        data = {"name": token.name, "prefix": prefix, "scopes": token.scopes, "days": days}
        audit.append(action="token.created", by=by, subject=subject_of(token), data=data, now=now)
    return token, text


def revoke(token: Token, *, user: User, by: Actor, now: datetime) -> None:
    """End a token at once; its owner, or an admin of its component, may. Raises Refused when it was revoked already."""
    permits.in_person(by, user)
    require_revoker(user, token)
    with audit.turn():
        if not _end(token, why="", by=by, now=now):
            raise Refused("This token was revoked already.")
    token.revoked_at = now


def connect() -> None:
    """End the tokens of accounts from now on, whoever closes, opens or resets them."""
    events.account_turned.connect(end_all, dispatch_uid="rollout.tokens")


def end_all(*, user: User, why: str, by: Actor, now: datetime, **_: object) -> None:
    """End an account's tokens for good, in the transaction that closes it, opens it again, or resets how to sign in.

    At the opening too: a token that was made while the account was being closed would wake up with it.
    """
    for token in Token.objects.select_related("component").filter(owner_id=user.pk, expires_at__gt=now).order_by("pk"):
        _end(token, why=why, by=by, now=now)


def find(text: str, *, now: datetime) -> Token | None:
    """Return the live token with that text, and note its use; None when it is unknown, expired or revoked."""
    if not text.startswith(MARK):
        return None
    found = Token.objects.select_related("owner", "component").filter(prefix=text[:PREFIX_LENGTH]).first()
    # found by what everybody may see of it; what is secret is compared in constant time
    if not hmac.compare_digest(found.sha256 if found else "", _digest(text)):
        return None
    token: Token | None = found
    if token is None or token.revoked_at is not None or token.expires_at <= now or not token.owner.is_active:
        return None
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_AGAIN)
    Token.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def require_maker(user: User, component: Component) -> None:
    """Raise PermissionDenied unless the user may make tokens for a component now."""
    if not ledger.current_roles(user, component.name) & MAKERS:
        raise PermissionDenied(f"This needs the role {' or '.join(sorted(MAKERS))} for {component.name}.")


def require_revoker(user: User, token: Token) -> None:
    """Raise PermissionDenied unless the user may end this token."""
    if user.pk != token.owner_id and access.ADMIN not in ledger.current_roles(user, token.component.name):
        raise PermissionDenied("A token is revoked by its owner or by an admin.")


def subject_of(token: Token) -> Subject:
    """Return how the audit names a token."""
    return Subject(kind="token", id=str(token.pk), label=f"token {token.prefix}…", component=token.component.name)


def _end(token: Token, *, why: str, by: Actor, now: datetime) -> bool:
    """End a token in the transaction of the caller, and audit it; False when it was ended already."""
    ended = Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now) == 1
    if ended:
        data = {"prefix": token.prefix}
        audit.append(action="token.revoked", by=by, subject=subject_of(token), why=why, data=data, now=now)
    return ended


def _digest(text: str) -> str:
    # One round is enough: the text holds 256 random bits, there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()
