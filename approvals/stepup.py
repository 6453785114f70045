"""Recent re-authentication: a decision needs a proof of who decides, minutes old; and the limit of tries."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from monitoring import audit
from monitoring.audit import Actor

from .actors import about, actor_of
from .models import StepUpGuard
from .rules import CLOCK_SKEW

KEY = "authenticated_at"
METHOD = "authenticated_by"
# So long before the proof is too old a form asks for it again: what is sent then is not too late when it is weighed.
SPARE = timedelta(seconds=30)
WRONG_TRIES = 5
# Of one address, over all names: who tries one password on every account never gets to five at one of them.
WRONG_TRIES_OF_ADDRESS = 50
WINDOW = timedelta(minutes=15)
Key = dict[str, Any]


def authenticated_at(request: HttpRequest) -> datetime | None:
    """Return when this session's user last proved who he is; None when it is not known."""
    try:
        moment = datetime.fromisoformat(request.session.get(KEY, ""))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def is_recent(request: HttpRequest, *, now: datetime) -> bool:
    """Say whether the proof is young enough to decide with."""
    moment = authenticated_at(request)
    limit = timedelta(seconds=settings.GR_STEP_UP_SECONDS)
    return moment is not None and now - limit <= moment <= now + CLOCK_SKEW


def method_of(request: HttpRequest) -> str:
    """Return how this session's user last proved who he is: password, totp or passkey."""
    return str(request.session.get(METHOD, "password"))


def remember(request: HttpRequest, *, now: datetime, method: str = "password") -> None:
    """Keep moment and method of a proof in the session."""
    request.session[KEY] = now.isoformat()
    request.session[METHOD] = method


def renew(request: HttpRequest, *, now: datetime, method: str) -> None:
    """Keep a proof in a session with a new key: one that was stolen before is not raised with it."""
    request.session.cycle_key()
    remember(request, now=now, method=method)


def confirm(request: HttpRequest, password: str, *, now: datetime) -> bool:
    """Check the signed-in user's password and remember the moment; False when it is wrong or the tries are used up."""
    user = get_user_model().objects.filter(pk=request.user.pk or 0, is_active=True).first()
    right = user is not None and check(user, password, by=actor_of(request, user), now=now)
    if right:
        renew(request, now=now, method="password")
    return right


def check(user: AbstractUser, password: str, *, by: Actor, now: datetime) -> bool:
    """Check a user's password and audit the outcome, through whatever door; False when wrong or the tries are used up.

    A try is counted before the password is looked at, so that parallel guesses do not get past the limit.
    """
    allowed = take(user, now=now)
    right = allowed and user.check_password(password)
    what = "confirmed" if right else "failed" if allowed else "throttled"
    with audit.turn():
        if right:
            forgive(user)
        audit.append(action=f"user.password_{what}", by=by, subject=about(user), now=now)
    return right


def take(user: AbstractUser, *, now: datetime) -> bool:
    """Count a try of a user to prove who he is, before it is looked at; False when they are used up."""
    return _take({"user_id": user.pk}, now)


def wait_until(user_id: int, *, now: datetime) -> datetime | None:
    """Return when a user whose tries are used up may try again; None when he may now."""
    return _wait_until({"user_id": user_id}, now)


def wait_text(user_id: int, *, now: datetime) -> str:
    """Return the sentence for somebody whose tries are used up; "" while he may try."""
    until = wait_until(user_id, now=now)
    return f"Too many wrong passwords. Try again after {timezone.localtime(until):%H:%M}." if until else ""


def sign_in_wait(user: AbstractUser | None, name: str, *, address: str, now: datetime) -> datetime | None:
    """Count a try to sign in before its password is looked at; return when to try again when they are used up.

    Apart from the tries to confirm of somebody who is in: a stranger who guesses must not keep him from stopping a
    deploy. A name that is no account is counted, and answers, alike.
    """
    if user is None:
        StepUpGuard.objects.filter(user=None, since__lte=now - WINDOW).delete()
    if not _take(_of_address(address), now, most=WRONG_TRIES_OF_ADDRESS):
        return _wait_until(_of_address(address), now, most=WRONG_TRIES_OF_ADDRESS) or now + WINDOW
    key = _of_name(user.get_username() if user else name)
    return None if _take(key, now) else _wait_until(key, now) or now + WINDOW


def forgive(user: AbstractUser, address: str = "") -> None:
    """Forget the tries of a user who has just proved who he is, and give his address back the one that was right."""
    StepUpGuard.objects.filter(user_id=user.pk).update(tries=0)
    if address:  # he signed in
        StepUpGuard.objects.filter(**_of_name(user.get_username())).update(tries=0)
    StepUpGuard.objects.filter(**_of_address(address), tries__gt=0).update(tries=F("tries") - 1)


def _of_name(name: str) -> Key:
    return {"name_sha256": hashlib.sha256(name.encode()).hexdigest()}


def _of_address(address: str) -> Key:
    # no name can be mistaken for it: a form takes none with a NUL
    return {"name_sha256": hashlib.sha256(f"address\0{address}".encode()).hexdigest()}


def _wait_until(key: Key, now: datetime, most: int = WRONG_TRIES) -> datetime | None:
    guard = StepUpGuard.objects.filter(**key, tries__gte=most, since__gt=now - WINDOW).first()
    return guard.since + WINDOW if guard else None


def _take(key: Key, now: datetime, most: int = WRONG_TRIES) -> bool:
    StepUpGuard.objects.get_or_create(**key, defaults={"since": now})
    guard = StepUpGuard.objects.filter(**key)
    guard.filter(since__lte=now - WINDOW).update(since=now, tries=0)
    return guard.filter(tries__lt=most).update(tries=F("tries") + 1) == 1
