"""What allauth asks of us: nobody signs up, our own proof counts, secrets are sealed, passkeys know their host."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from . import seal, signins, sso, stepup
from .people import printed_name
from .site import site_of


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts are made by admins."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def is_reauthentication_required(self, *, app: str, **_: Any) -> bool:
        """Ask for what a decision would ask for, too."""
        return not stepup.is_recent(context.request, now=timezone.now())

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, str]]:
        """Name the one page where a person proves who he is."""
        return [{"id": "reauthenticate", "description": "Confirm that it is you", "url": reverse("confirm")}]

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        """Lead back to the sign-in."""
        messages.error(request, "This account is disabled; an admin can say why.")
        return redirect("login")

    def post_login(self, request: HttpRequest, user: Any, **login: Any) -> HttpResponse:
        """Link the identity that came in, forget the wrong tries before this sign-in, and lead on."""
        came_by = (login.get("signal_kwargs") or {}).get("sociallogin")
        if came_by is not None:
            sso.finish(request, user, came_by)
        signins.let_in(request, user)
        answer: HttpResponse = super().post_login(request, user, **login)
        return answer

    def add_message(self, request: HttpRequest, level: int, *args: Any, **options: Any) -> None:
        """Pass on what says why something was refused; where all went well the page says so itself."""
        if options.get("message"):
            messages.add_message(request, level, options["message"])

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that the audit names."""
        return str(request.META.get("REMOTE_ADDR", ""))


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors."""

    def encrypt(self, text: str) -> str:
        """Seal a secret."""
        return seal.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Open it."""
        return seal.unseal(encrypted_text)

    def get_totp_issuer(self) -> str:
        """Return what an authenticator app shows beside the user name."""
        return "Guarded Rollout"

    def get_totp_label(self, user: Any) -> str:
        """Return the user name: an address may change."""
        return str(user.get_username())

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return the host that passkeys are bound to."""
        return {"id": site_of(context.request).rp_id, "name": "Guarded Rollout"}

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        """Return how a passkey's own list names the account."""
        return {
            "id": user_pk_to_url_str(user).encode(),
            "name": user.get_username(),
            "display_name": printed_name(user),
        }
