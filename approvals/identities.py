"""Identities at the provider that open an account: listed, linked once, and unlinked, each told in the audit."""

from datetime import datetime
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings

from monitoring import audit, canonical
from monitoring.audit import Actor

from . import telling
from .actors import about
from .proof import Refused


def of(user: Any) -> list[SocialAccount]:
    """Return the identities that open an account."""
    return list(SocialAccount.objects.filter(user_id=user.pk).order_by("pk"))


def is_linked(user: Any, identity: Any) -> bool:
    """Say whether an identity opens this account now, as the database has it."""
    rows = SocialAccount.objects.filter(user_id=user.pk, provider=identity.provider, uid=identity.uid)
    return bool(rows.exists())


def link(user: Any, identity: Any, *, by: Actor, now: datetime) -> None:
    """Let an identity open this account from now on, in the transaction of who found that it may."""
    row = SocialAccount.objects.create(
        user_id=user.pk, provider=identity.provider, uid=identity.uid, extra_data=identity.extra_data
    )
    _tell(row, user, "linked", why="", by=by, now=now)


def unlink(user: Any, pk: int, *, by: Actor, now: datetime) -> None:
    """Take one identity off one's own account; raise Refused when it is not there."""
    with audit.turn():
        row = SocialAccount.objects.filter(user_id=user.pk, pk=pk).first()
        if row is None:
            raise Refused("This is not there any more.")
        row.delete()
        _tell(row, user, "unlinked", why="", by=by, now=now)


def unlink_all(user: Any, *, why: str, by: Actor, now: datetime) -> None:
    """Take every identity off an account that changes hands or address; in the transaction of that change."""
    for row in of(user):
        row.delete()
        _tell(row, user, "unlinked", why=why, by=by, now=now)


def digest(identity: Any) -> str:
    """Return the sha256 of issuer and number: who knows both finds the entry, the entry tells neither."""
    issuer = (identity.extra_data.get("id_token") or {}).get("iss", settings.GR_OIDC_SERVER_URL)
    return canonical.digest([str(issuer), identity.uid])


def _tell(row: Any, user: Any, what: str, *, why: str, by: Actor, now: datetime) -> None:
    data = {"identity_sha256": digest(row)}
    audit.append(action=f"user.identity_{what}", by=by, subject=about(user), why=why, data=data, now=now)
    telling.owner(user, f"identity_{what}", now=now)
