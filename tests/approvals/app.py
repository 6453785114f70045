"""An authenticator app in software."""

from datetime import datetime

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.utils import timezone

from approvals.codes import PERIOD_S

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def app_code(now: datetime | None = None, *, later: int = 0, secret: str = SECRET) -> str:
    """Return the code that the app shows now, or so many periods later."""
    moment = now or timezone.now()
    return format_hotp_value(hotp_value(secret, int(moment.timestamp()) // PERIOD_S + later))
