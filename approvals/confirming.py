"""Prove in an open session who one is, with an authenticator app or a passkey; with a password: `stepup.confirm`."""

import json
from datetime import datetime
from typing import Any

from allauth.mfa.webauthn.internal import auth
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from monitoring import audit

from . import codes, passkeys, signatures, stepup
from .actors import about, actor_of
from .proof import Refused
from .signatures import BROKEN, Proof
from .site import site_of


def by_code(request: HttpRequest, code: str, *, now: datetime) -> bool:
    """Check a code of the signed-in user's authenticator app and remember the moment."""
    user: Any = request.user
    if codes.check(user, code, by=actor_of(request, user), now=now, recovery=False) is None:
        return False
    stepup.renew(request, now=now, method=codes.TOTP)
    return True


def passkey_options(request: HttpRequest) -> dict[str, Any] | None:
    """Return what the browser asks a passkey of the signed-in user; None where he has none."""
    if not passkeys.has_any(request.user.pk or 0):
        return None
    options: dict[str, Any] = auth.begin_authentication(request.user)
    return options


def by_passkey(request: HttpRequest, text: str, *, now: datetime) -> bool:
    """Check a passkey's answer to the options of this session and remember the moment."""
    right = _answers(request, text)
    _tell(request, "confirmed" if right else "failed", now)
    if right:
        stepup.renew(request, now=now, method="passkey")
    return right


def signed_by_passkey(request: HttpRequest, text: str, *, now: datetime) -> Proof:
    """Check a passkey's word on one decision; raise Refused, audited, when it does not hold.

    The moment is remembered by `remember`, once the decision used the word up: until then anybody could send it again.
    """
    user: Any = request.user
    try:
        signed = signatures.verify(text, user=user, site=site_of(request), now=now)
    except Refused:
        _tell(request, "failed", now)
        raise
    return Proof(at=now, method="passkey", signed=signed)


def remember(request: HttpRequest, proof: Proof) -> None:
    """Let the session know when its person signed, after what was signed was recorded."""
    if proof.signed is not None and proof.at is not None:
        stepup.renew(request, now=proof.at, method="passkey")


def _tell(request: HttpRequest, what: str, now: datetime) -> None:
    with audit.turn():
        by = actor_of(request, request.user)
        audit.append(action=f"user.passkey_{what}", by=by, subject=about(request.user), now=now)


def _answers(request: HttpRequest, text: str) -> bool:
    try:
        credential = json.loads(text)
        auth.parse_authentication_response(credential)
        auth.complete_authentication(request.user, credential)
    except (ValidationError, *BROKEN):
        return False
    return True
