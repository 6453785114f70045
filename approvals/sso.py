"""Single sign-on over OpenID Connect, by settings only: finds the account that is there; makes none, gives no role."""

import logging
import secrets
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.openid_connect.views import callback as allauth_callback
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, logout
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from monitoring import audit

from . import identities, signins
from .actors import actor_of

logger = logging.getLogger(__name__)
PROVIDER = "sso"
NOBODY = (
    "No account here has the address that your organisation confirmed, or another identity holds it. Ask an admin to "
    "enter it, or sign in with your password."
)
BROKEN = "Single sign-on did not work this time. Try again, or sign in with your password."


@never_cache
@login_not_required
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Lead to the identity provider, by a page of ours: the policy lets no form end at another site."""
    if not settings.GR_OIDC_SERVER_URL:
        raise Http404("single sign-on is not configured")
    wanted = request.POST.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    try:
        provider = get_adapter().get_provider(request, PROVIDER)
        nonce = secrets.token_urlsafe(24)
        asked = {**provider.get_auth_params(), "nonce": nonce}
        answer = provider.redirect(
            request, process="login", next_url=wanted if own else None, auth_params=asked, nonce=nonce
        )
    except (OSError, KeyError, ValueError):  # what requests raises is an OSError
        messages.error(request, BROKEN)
        return redirect("login")
    return render(request, "account/sso.html", {"url": answer.url, "name": settings.GR_OIDC_NAME})


@never_cache
@login_not_required
@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take what the identity provider says, and go on with the sign-in."""
    if not settings.GR_OIDC_SERVER_URL or provider_id != PROVIDER:
        raise Http404("single sign-on is not configured")
    try:
        answer: HttpResponse = allauth_callback(request, provider_id)
    except (AttributeError, KeyError, TypeError, ValueError):  # an answer that lacks what the standard asks for
        logger.warning("single sign-on: the provider's answer could not be read", exc_info=True)
        return _refused(request, BROKEN)
    return answer


def finish(request: HttpRequest, user: Any, sociallogin: Any) -> None:
    """Link a new identity once all steps of the sign-in are passed; sign out again where it may not be linked now."""
    now = timezone.now()
    with audit.turn():
        if identities.is_linked(user, sociallogin.account):
            return
        new = sociallogin.account.pk is None
        if new and _owner(one.email for one in sociallogin.email_addresses if one.verified) == user:
            identities.link(user, sociallogin.account, by=actor_of(request, user), now=now)
            return
    logout(request)
    raise ImmediateHttpResponse(_refused(request, NOBODY))


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Which account an identity belongs to."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Refuse: accounts are made by admins."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Let a known identity go on, and a new one as the one account that has its confirmed address."""
        if sociallogin.state.get("process") not in (None, "login"):
            raise ImmediateHttpResponse(_refused(request, NOBODY))
        if not _is_answer(sociallogin):
            raise ImmediateHttpResponse(_refused(request, BROKEN))
        if sociallogin.is_existing:
            return
        user = _owner(one.email for one in sociallogin.email_addresses if one.verified)
        if user is None:
            raise ImmediateHttpResponse(_refused(request, NOBODY))
        sociallogin.user = user  # for this sign-in; `finish` links it when that has come to its end

    def on_authentication_error(self, request: HttpRequest, *args: Any, **facts: Any) -> None:
        """Lead back to the sign-in, audited; what the provider said is for nobody's eyes."""
        raise ImmediateHttpResponse(_refused(request, BROKEN))


def _is_answer(sociallogin: Any) -> bool:
    """Say whether the provider named one person, and answers what this browser asked a moment ago."""
    told = sociallogin.account.extra_data
    claims, about_him = told.get("id_token") or {}, told.get("userinfo") or {}
    number, nonce = claims.get("sub"), sociallogin.state.get("nonce")
    same = isinstance(number, str) and number != "" and about_him.get("sub", number) == number
    return same and bool(nonce) and constant_time_compare(str(claims.get("nonce", "")), nonce)


def _owner(addresses: Any) -> Any:
    """Return the one active account with one of these addresses; None if there is none, or it has an identity."""
    wanted = {address.casefold() for address in addresses}
    active = get_user_model().objects.filter(is_active=True).exclude(email="")
    found = [user for user in active if user.email.casefold() in wanted]
    if len(found) != 1 or SocialAccount.objects.filter(user=found[0]).exists():
        return None
    return found[0]


def _refused(request: HttpRequest, sentence: str) -> HttpResponse:
    signins.refused_elsewhere(request)
    messages.error(request, sentence)
    return redirect("login")
