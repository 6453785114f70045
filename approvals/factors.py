"""A person's own second factors: added and removed, each in one transaction with its audit entry."""

from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from monitoring import audit
from monitoring.audit import Actor

from . import codes, passkeys, recovery, sessions, stepup, telling
from .actors import about
from .passkeys import Passkey
from .proof import Refused

NAMES = {"webauthn": "passkey", "totp": "totp", "recovery_codes": "recovery_codes"}


def add_app(user: AbstractUser, secret: str, code: str, *, by: Actor, now: datetime) -> None:
    """Add an authenticator app, proved by a code of it; raise Refused when that is wrong."""
    with audit.turn():
        if codes.has_app(user.pk):
            raise Refused("There is an authenticator app already; remove it first.")
        # counted, and so a row that the code's period can be kept in
        allowed = stepup.take(user, now=now)
        period = codes.period_of(secret, "".join(code.split()), now)
        if not allowed or period is None or not codes.use_up(user, period):
            raise Refused("This is not the code that the app shows now. Is the clock of your phone right?")
        TOTP.activate(user, secret)
        stepup.forgive(user)
        _tell(user, "totp_added", {}, by=by, now=now)


def add_passkey(user: AbstractUser, name: str, credential: dict[str, Any], *, by: Actor, now: datetime) -> Passkey:
    """Add a passkey whose registration was checked, audited with its public key; raise Refused for a known one."""
    with audit.turn():
        row = Authenticator(
            user=user, type=Authenticator.Type.WEBAUTHN, data={"name": name[:80], "credential": credential}
        )
        made = passkeys.read(row)
        if made is None:
            raise Refused("This passkey signs in a way that we do not check: ES256, EdDSA or RS256 is needed.")
        if passkeys.is_known(made.credential_id):
            raise Refused("This passkey is registered already.")
        row.data["credential"] = credential | {"id": made.credential_id}  # what the browser calls it is only its word
        row.save()
        _tell(user, "passkey_added", _public(made), by=by, now=now)
    return made


def make_recovery_codes(user: AbstractUser, *, by: Actor, now: datetime) -> list[str]:
    """Return ten new recovery codes, which nobody can read again; the old ones are void."""
    with audit.turn():
        if not has_one(user.pk):
            raise Refused("Recovery codes stand in for a passkey or an authenticator app; set one up first.")
        made = recovery.make(user)
        _tell(user, "recovery_codes_made", {}, by=by, now=now)
    return made


def has_one(user_id: int) -> bool:
    """Say whether somebody has a second factor: an authenticator app or a passkey."""
    return bool(Authenticator.objects.filter(user_id=user_id).exclude(type=Authenticator.Type.RECOVERY_CODES).exists())


def remove(user: AbstractUser, pk: int, *, by: Actor, now: datetime) -> None:
    """Remove one factor of one's own, and with the last one the recovery codes; raise Refused when it is not there."""
    with audit.turn():
        row = Authenticator.objects.filter(user_id=user.pk, pk=pk).first()
        if row is None or row.type not in NAMES:
            raise Refused("This is not there any more.")
        known = passkeys.read(row) if row.type == passkeys.WEBAUTHN else None
        row.delete()
        if not has_one(user.pk):
            if settings.GR_REQUIRE_SECOND_FACTOR:
                raise Refused("Everybody needs a second factor here, and this is your last: add another one first.")
            Authenticator.objects.filter(user_id=user.pk).delete()
        _tell(user, f"{NAMES[row.type]}_removed", _public(known) if known else {}, by=by, now=now)


def reset(user: AbstractUser, *, why: str, by: Actor, now: datetime) -> None:
    """Remove all factors of somebody who lost them, and end his sessions; in the transaction of the change that may."""
    rows = Authenticator.objects.filter(user_id=user.pk)
    kinds = sorted(rows.values_list("type", flat=True))
    rows.delete()
    data = {"removed": kinds, "sessions": sessions.end_all(user.pk)}
    audit.append(action="user.factors_reset", by=by, subject=about(user), why=why, data=data, now=now)


def changed_since(user: AbstractUser, moment: datetime) -> bool:
    """Say whether a person added or used a factor after a moment: then it was not lost."""
    rows = Authenticator.objects.filter(user_id=user.pk)
    return bool(rows.filter(Q(created_at__gt=moment) | Q(last_used_at__gt=moment)).exists())


def has_any(user: AbstractUser) -> bool:
    """Say whether a person has a second step at all."""
    return bool(Authenticator.objects.filter(user_id=user.pk).exists())


def _public(passkey: Passkey) -> dict[str, Any]:
    """Return what makes a passkey's signatures checkable from the audit alone."""
    return {
        "credential_id": passkey.credential_id,
        "algorithm": passkey.algorithm_name,
        "public_key": passkey.jwk,
    }


def _tell(user: AbstractUser, what: str, data: dict[str, Any], *, by: Actor, now: datetime) -> None:
    audit.append(action=f"user.{what}", by=by, subject=about(user), data=data, now=now)
    telling.owner(user, what, now=now)
