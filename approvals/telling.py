"""Tell a person that the ways into the own account have changed: who did that as somebody else is found so."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from monitoring import audit, notices
from monitoring.routes import Route

from .actors import about
from .people import printed_name

# what the audit calls it -> what the person reads; what two admins change is told by their change
WORDS = {
    "passkey_added": "a passkey was added",
    "passkey_removed": "a passkey was removed",
    "totp_added": "an authenticator app was set up",
    "totp_removed": "the authenticator app was removed",
    "recovery_codes_made": "new recovery codes were made",
    "password_changed": "the password was changed",
    "password_chosen": "a new password was chosen, with the link that two admins gave",
    "identity_linked": "an identity for single sign-on was linked",
    "identity_unlinked": "an identity for single sign-on was unlinked",
}
ROUTES = (Route(channel="person"),)


def owner(user: Any, what: str, *, now: datetime) -> None:
    """Queue the notice to the owner of an account, in the transaction of the change."""
    notices.queue(
        "sign_in_changed",
        subject=about(user),
        severity="warning",
        context={"person": printed_name(user), "user_name": user.get_username(), "what": WORDS[what]},
        routes=ROUTES,
        key=f"sign-in-{user.pk}-{what}-{audit.stamp(now)}",
        url=settings.GR_BASE_URL + reverse("security"),
        now=now,
    )
