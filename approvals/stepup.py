"""Recent re-authentication: a decision needs the password, entered a few minutes ago by the one who decides."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from monitoring import audit
from monitoring.audit import Actor

from .actors import about, actor_of
from .models import StepUpGuard
from .rules import CLOCK_SKEW

KEY = "authenticated_at"
WRONG_TRIES = 5
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


def remember(request: HttpRequest, *, now: datetime) -> None:
    """Keep the moment of a proof in the session."""
    request.session[KEY] = now.isoformat()


def confirm(request: HttpRequest, password: str, *, now: datetime) -> bool:
    """Check the signed-in user's password and remember the moment; False when it is wrong or the tries are used up."""
    user = get_user_model().objects.filter(pk=request.user.pk or 0, is_active=True).first()
    right = user is not None and check(user, password, by=actor_of(request, user), now=now)
    if right:
        request.session.cycle_key()
        remember(request, now=now)
    return right


def check(user: AbstractUser, password: str, *, by: Actor, now: datetime) -> bool:
    """Check a user's password and audit the outcome, through whatever door; False when wrong or the tries are used up.

    A try is counted before the password is looked at, so that parallel guesses do not get past the limit.
    """
    allowed = _take({"user_id": user.pk}, now)
    right = allowed and user.check_password(password)
    what = "confirmed" if right else "failed" if allowed else "throttled"
    with transaction.atomic():
        if right:
            forgive(user)
        audit.append(action=f"user.password_{what}", by=by, subject=about(user), now=now)
    return right


def wait_until(user_id: int, *, now: datetime) -> datetime | None:
    """Return when a user whose tries are used up may try again; None when he may now."""
    return _wait_until({"user_id": user_id}, now)


def sign_in_wait(user: AbstractUser | None, name: str, *, now: datetime) -> datetime | None:
    """Count a try to sign in before its password is looked at; return when to try again when they are used up.

    Counted together with the account's tries to confirm; a name that is no account is counted, and answers, alike.
    """
    if user is None:
        StepUpGuard.objects.filter(user=None, since__lte=now - WINDOW).delete()
    key = {"user_id": user.pk} if user else {"name_sha256": hashlib.sha256(name.encode()).hexdigest()}
    return None if _take(key, now) else _wait_until(key, now) or now + WINDOW


def forgive(user: AbstractUser) -> None:
    """Forget the tries of a user who has just signed in."""
    StepUpGuard.objects.filter(user_id=user.pk).update(tries=0)


def _wait_until(key: Key, now: datetime) -> datetime | None:
    guard = StepUpGuard.objects.filter(**key, tries__gte=WRONG_TRIES, since__gt=now - WINDOW).first()
    return guard.since + WINDOW if guard else None


def _take(key: Key, now: datetime) -> bool:
    StepUpGuard.objects.get_or_create(**key, defaults={"since": now})
    guard = StepUpGuard.objects.filter(**key)
    guard.filter(since__lte=now - WINDOW).update(since=now, tries=0)
    return guard.filter(tries__lt=WRONG_TRIES).update(tries=F("tries") + 1) == 1
