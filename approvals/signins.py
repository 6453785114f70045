"""Sign-ins into the audit: the one use of signals, because Django tells of them in no other way."""

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from monitoring import audit
from monitoring.audit import Subject

from . import stepup
from .actors import about, actor_of

DOOR = Subject(kind="user", id="", label="sign-in")


def connect() -> None:
    """Connect the receivers, each once."""
    user_logged_in.connect(signed_in, dispatch_uid="approvals.signed_in")
    user_logged_out.connect(signed_out, dispatch_uid="approvals.signed_out")
    user_login_failed.connect(failed, dispatch_uid="approvals.failed")


def signed_in(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Audit a sign-in; a password that was entered just now needs no second entry."""
    now = timezone.now()
    if request is not None:
        stepup.remember(request, now=now)
    with transaction.atomic():
        audit.append(action="user.signed_in", by=actor_of(request, user), subject=about(user), now=now)


def signed_out(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Audit a sign-out; of nobody, when the session had ended before."""
    if user is None:
        return
    with transaction.atomic():
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
    until = stepup.sign_in_wait(user, name, now=now)
    if until is None:
        return ""
    _refused("throttled", user, request)
    return f"Too many wrong passwords. Try again after {timezone.localtime(until):%H:%M}."


def _refused(what: str, user: AbstractUser | None, request: HttpRequest | None) -> None:
    name = user.get_username() if user else "unknown account"
    subject = about(user) if user else DOOR
    by = actor_of(request, name=name)
    with transaction.atomic():
        audit.append(action=f"user.sign_in_{what}", by=by, subject=subject, now=timezone.now())
