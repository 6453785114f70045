"""Sign-ins into the audit: the one use of signals, because Django tells of them in no other way."""

from datetime import datetime
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest
from django.utils import timezone

from monitoring import audit
from monitoring.audit import Subject

from . import sessions, stepup
from .actors import about, actor_of

# what counts as a proof of the person for some minutes; an identity provider may have asked nobody anything
SSO = "single sign-on"
PROOFS = ("password", "totp", "passkey")
FACTORS = {"totp": "totp", "webauthn": "passkey", "recovery_codes": "recovery code"}
DOOR = Subject(kind="user", id="", label="sign-in")


def connect() -> None:
    """Connect the receivers, each once."""
    user_logged_in.connect(signed_in, dispatch_uid="approvals.signed_in")
    user_logged_out.connect(signed_out, dispatch_uid="approvals.signed_out")
    user_login_failed.connect(failed, dispatch_uid="approvals.failed")


def signed_in(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Audit a sign-in; what was proved just now needs no second proof for a while."""
    now, method, by = timezone.now(), _method(request, user), actor_of(request, user)
    with audit.turn():
        if request is not None and method in PROOFS:
            stepup.remember(request, now=now, method=method)
        if request is not None:
            sessions.begin(request, user, method=method, now=now)
        audit.append(action="user.signed_in", by=by, subject=about(user), data={"method": method}, now=now)


def let_in(request: HttpRequest, user: Any) -> None:
    """Forget the wrong tries of somebody who came in by factors of ours."""
    if _method(request, user) != SSO:
        stepup.forgive(user, actor_of(request).address)


def signed_out(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Audit a sign-out; of nobody, when the session had ended before."""
    if user is None:
        return
    with audit.turn():
        audit.append(action="user.signed_out", by=actor_of(request, user), subject=about(user), now=timezone.now())


def failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Audit a failed sign-in; names only accounts that exist, because people type passwords into the wrong field."""
    _refused("failed", account(str(credentials.get("username", ""))), request)


def account(name: str) -> AbstractUser | None:
    """Return the account of that name."""
    return get_user_model().objects.filter(username=name).first()


def refusal(request: HttpRequest | None, name: str, *, now: datetime) -> str:
    """Return why no password is looked at for this name now, audited; empty while one is."""
    user = account(name)
    until = stepup.sign_in_wait(user, name, address=actor_of(request).address, now=now)
    if until is None:
        return ""
    _refused("throttled", user, request)
    return f"Too many wrong passwords. Try again after {timezone.localtime(until):%H:%M}."


def refused_elsewhere(request: HttpRequest) -> None:
    """Audit a sign-in by a passkey or an identity that is nobody's here."""
    _refused("failed", None, request)


def _method(request: HttpRequest | None, user: Any) -> str:
    """Return by what a person signed in: the last of the factors that allauth has noted in the session."""
    records = get_authentication_records(request, user) if request is not None else []
    if not records:
        return "password"
    last = records[-1]
    if last["method"] == "mfa":
        return FACTORS.get(last.get("type"), "unknown")
    return SSO if last["method"] == "socialaccount" else "password"


def _refused(what: str, user: AbstractUser | None, request: HttpRequest | None) -> None:
    name = user.get_username() if user else "unknown account"
    subject = about(user) if user else DOOR
    by = actor_of(request, name=name)
    with audit.turn():
        audit.append(action=f"user.sign_in_{what}", by=by, subject=subject, now=timezone.now())
