"""Pages of somebody who proves who he is: password re-entry, the first admins."""

import json
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from . import bootstrap, codes, confirming, stepup
from .actors import actor_of
from .forms import ConfirmForm, FirstAdminsForm
from .proof import Refused

page = require_http_methods(["GET", "HEAD", "POST"])
# pages that would send whoever goes back without a proof here again
ASKING = "/account/"


@never_cache
@sensitive_post_parameters("password", "code")
@page
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the password again, or a code or a passkey, and go on to where it is needed."""
    now = timezone.now()
    target = _safe_next(request)
    user: Any = request.user
    form = ConfirmForm(
        request.POST if request.method == "POST" else None,
        has_password=user.has_usable_password(),
        has_app=codes.has_app(user.pk),
    )
    if request.method == "POST" and _confirmed(request, form, now):
        return HttpResponseRedirect(target)
    options = confirming.passkey_options(request)
    context = {
        "form": form,
        "next": target,
        "purpose": request.GET.get("purpose", "")[:200],
        "cancel_url": reverse("security") if target.startswith(ASKING) else target,
        "options": json.dumps(options) if options else "",
    }
    status = 429 if request.user.pk and stepup.wait_until(request.user.pk, now=now) else 200
    return render(request, "registration/confirm.html", context, status=status)


@never_cache
@login_not_required
@sensitive_post_parameters()
@page
def first_admins(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first two admins of an empty installation."""
    now = timezone.now()
    if not bootstrap.is_valid(token, now=now):
        raise Http404("this link was used or is out of date")
    form = FirstAdminsForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            by = actor_of(request, name="first admins link")
            bootstrap.create_first_admins(token, form.admins(), by=by, now=now)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Both admins exist. Sign in as one of them.")
            return redirect("login")
    return render(request, "registration/first_admins.html", {"form": form})


def _confirmed(request: HttpRequest, form: ConfirmForm, now: datetime) -> bool:
    """Say whether what was sent proves who it is; say on the form when not."""
    if "credential" in request.POST:
        if confirming.by_passkey(request, request.POST["credential"], now=now):
            return True
        form.errors.clear()
        form.add_error(None, "This is not a passkey of yours, or it did not answer this page. Try again.")
        return False
    if not form.is_valid():
        return False
    password, code = form.cleaned_data.get("password", ""), form.cleaned_data.get("code", "")
    if stepup.confirm(request, password, now=now) if password else confirming.by_code(request, code, now=now):
        return True
    wait = stepup.wait_text(request.user.pk or 0, now=now)
    name, sentence = ("password", "This is not your password.") if password else ("code", "This code does not hold.")
    form.add_error(None if wait else name, wait or sentence)
    return False


def _safe_next(request: HttpRequest) -> str:
    """Return where to go on: a place of our own, never what a link from outside asks for."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if own else reverse("people")
