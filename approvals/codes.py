"""Codes of an authenticator app, and recovery codes: each is good once, and wrong ones are counted as passwords are."""

import hmac
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from django.contrib.auth.models import AbstractUser

from monitoring import audit
from monitoring.audit import Actor

from . import recovery as recovery_codes
from . import stepup
from .actors import about
from .models import StepUpGuard

PERIOD_S = 30
TOTP, RECOVERY_CODE = "totp", "recovery code"


def check(user: AbstractUser, code: str, *, by: Actor, now: datetime, recovery: bool = True) -> Authenticator | None:
    """Return the second factor that a code is of, and use the code up; audited; None when wrong or throttled."""
    code = "".join(code.split())
    allowed = stepup.take(user, now=now)
    with audit.turn():
        found = _find(user, code, now, recovery) if allowed else None
        if found:
            stepup.forgive(user)
        what = "confirmed" if found else "failed" if allowed else "throttled"
        data = {"method": found.type} if found else {}
        audit.append(action=f"user.code_{what}", by=by, subject=about(user), data=data, now=now)
    return found


def period_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the period whose code this is, one before and one after included; None when it is none's."""
    newest = int(now.timestamp()) // PERIOD_S
    for period in (newest - 1, newest, newest + 1) if secret else ():
        if hmac.compare_digest(format_hotp_value(hotp_value(secret, period)).encode(), code.encode()):
            return period
    return None


def use_up(user: AbstractUser, period: int) -> bool:
    """Take the code of a period, and all before it, out of use; False when another was faster."""
    return StepUpGuard.objects.filter(user_id=user.pk, code_period__lt=period).update(code_period=period) == 1


def has_app(user_id: int) -> bool:
    """Say whether a user has an authenticator app."""
    return bool(Authenticator.objects.filter(user_id=user_id, type=Authenticator.Type.TOTP).exists())


def _find(user: AbstractUser, code: str, now: datetime, recovery: bool) -> Authenticator | None:
    app = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP).first()
    period = period_of(decrypt(app.data["secret"]), code, now) if app else None
    if period is not None:
        return app if use_up(user, period) else None
    # the row of this user's tries was updated before: on PostgreSQL that lock keeps a second use of the code waiting
    return recovery_codes.use(user, code) if recovery else None
