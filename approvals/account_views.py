"""A person's own page of sign-in and security: password, authenticator app, passkeys, recovery codes."""

import base64
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, get_totp_secret
from allauth.mfa.webauthn.internal import auth
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from monitoring import audit

from . import cose, factors, identities, recovery, stepup, telling
from .actors import about, actor_of
from .forms import AppForm, PasskeyForm, PasswordForm
from .proof import Refused
from .signatures import BROKEN

View = Callable[..., HttpResponse]
page = require_http_methods(["GET", "HEAD", "POST"])


def proved(view: View) -> View:
    """Let only somebody in who proved a moment ago who he is; the others go there first, and nothing is done."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **values: Any) -> HttpResponse:
        if stepup.is_recent(request, now=timezone.now()):
            return view(request, *args, **values)
        back = request.path if request.method != "POST" or request.path in _pages() else reverse("security")
        return prove_first(back, "Before you change how you sign in.")

    return guarded


def prove_first(back: str, purpose: str) -> HttpResponse:
    """Lead to where a person proves who he is, and back."""
    return redirect(f"{reverse('confirm')}?{urlencode({'next': back, 'purpose': purpose})}")


@require_GET
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Show by what this person signs in."""
    rows = list(Authenticator.objects.filter(user_id=request.user.pk).order_by("pk"))
    context = {
        "passkeys": [row for row in rows if row.type == Authenticator.Type.WEBAUTHN],
        "app": next((row for row in rows if row.type == Authenticator.Type.TOTP), None),
        "codes_left": recovery.left(_user(request)),
        "identities": identities.of(_user(request)),
        "sso_name": settings.GR_OIDC_NAME,
        "has_password": _user(request).has_usable_password(),
        "needed": settings.GR_REQUIRE_SECOND_FACTOR and not factors.has_one(_user(request).pk),
        "recent": stepup.is_recent(request, now=timezone.now()),
    }
    return render(request, "account/security.html", context)


@page
@never_cache
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; every other session ends with the old one."""
    by = actor_of(request, request.user)
    form = PasswordForm(_user(request), request.POST or None, by=by)
    if request.method == "POST" and form.is_valid():
        with request.once("security"):  # type: ignore[attr-defined]
            user, now = form.save(), timezone.now()
            audit.append(action="user.password_changed", by=by, subject=about(user), now=now)
            telling.owner(user, "password_changed", now=now)
        update_session_auth_hash(request, user)
        messages.success(request, "Changed. Every other session of yours has ended.")
        return redirect("security")
    return render(request, "account/password.html", {"form": form})


@page
@never_cache
@sensitive_post_parameters("code")
@proved
def app_add(request: HttpRequest) -> HttpResponse:
    """Show the secret as a QR code, and take the app's first code."""
    form = AppForm(request.POST or None)
    secret = get_totp_secret(regenerate=request.method != "POST")
    if request.method == "POST" and form.is_valid():
        try:
            with request.once("recovery_codes"):  # type: ignore[attr-defined]
                factors.add_app(_user(request), secret, form.cleaned_data["code"], **_who(request))
        except Refused as refusal:
            form.add_error("code", str(refusal))
        else:
            request.session.pop(SECRET_SESSION_KEY, None)
            return _added(request, "Your authenticator app is asked for from the next sign-in on.")
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(request.user, secret))
    data = base64.b64encode(svg.encode()).decode()
    return render(
        request, "account/app.html", {"form": form, "secret": secret, "qr": f"data:image/svg+xml;base64,{data}"}
    )


@page
@never_cache
@proved
def passkey_add(request: HttpRequest) -> HttpResponse:
    """Register a passkey; user verification is required, and that the passkey can be found without a name."""
    form = PasskeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            credential = _checked(form.cleaned_data["credential"])
            with request.once("recovery_codes"):  # type: ignore[attr-defined]
                factors.add_passkey(_user(request), form.cleaned_data["name"], credential, **_who(request))
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return _added(request, "The passkey can sign in, and sign decisions.")
    options: Any = auth.begin_registration(request.user, True)
    known = options["publicKey"]["pubKeyCredParams"]
    options["publicKey"]["pubKeyCredParams"] = [one for one in known if one["alg"] in cose.NAMES]
    return render(request, "account/passkey.html", {"form": form, "options": json.dumps(options)})


@require_POST
@proved
def factor_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a passkey or the authenticator app."""
    try:
        with request.once("security"):  # type: ignore[attr-defined]
            factors.remove(_user(request), pk, **_who(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Removed. It opens nothing any more.")
    return redirect("security")


@require_POST
@proved
def identity_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Unlink an identity at the identity provider."""
    try:
        with request.once("security"):  # type: ignore[attr-defined]
            identities.unlink(_user(request), pk, **_who(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Unlinked. It opens nothing any more.")
    return redirect("security")


@page
@never_cache
@proved
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes, show them once, and say how many are left."""
    user = _user(request)
    if request.method == "POST":
        try:
            with request.once("recovery_codes"):  # type: ignore[attr-defined]
                made = factors.make_recovery_codes(user, **_who(request))
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect("security")
        recovery.keep_to_show(request, made, now=timezone.now())
        messages.success(request, "These are new; the old ones are void.")
        return redirect("recovery_codes")
    context = {"codes": recovery.show(request, now=timezone.now()), "codes_left": recovery.left(user)}
    return render(request, "account/recovery_codes.html", context)


def _checked(credential: Any) -> dict[str, Any]:
    """Return what the browser made, checked against the challenge of this session; raise Refused."""
    try:
        auth.parse_registration_response(credential)
        auth.complete_registration(credential)
    except (ValidationError, *BROKEN):
        raise Refused("The passkey was not made for this page. Try again.") from None
    made: dict[str, Any] = credential
    return made


def _added(request: HttpRequest, sentence: str) -> HttpResponse:
    """Say so, and lead to the recovery codes where there are none yet: a lost phone must not lock anybody out."""
    messages.success(request, sentence)
    if recovery.left(_user(request)) is not None:
        return redirect("security")
    made = factors.make_recovery_codes(_user(request), **_who(request))
    recovery.keep_to_show(request, made, now=timezone.now())
    return redirect("recovery_codes")


def _pages() -> tuple[str, ...]:
    return tuple(reverse(name) for name in ("app_add", "passkey_add", "recovery_codes"))


def _user(request: HttpRequest) -> Any:
    return request.user


def _who(request: HttpRequest) -> dict[str, Any]:
    return {"by": actor_of(request, request.user), "now": timezone.now()}
