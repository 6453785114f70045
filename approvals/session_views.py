"""Pages of open sessions: one's own, and, for admins, those of others."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from . import sessions, stepup
from .account_views import prove_first
from .actors import actor_of
from .people import printed_name

page = require_http_methods(["GET", "HEAD", "POST"])


@page
@never_cache
def own_sessions(request: HttpRequest) -> HttpResponse:
    """Show one's own sessions, and end them."""
    return _page(request, request.user, reverse("sessions"))


@page
@never_cache
def person_sessions(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show another person's sessions to an admin, and end them."""
    user = get_object_or_404(get_user_model(), pk=user_id)
    return _page(request, user, reverse("person_sessions", args=[user_id]))


def _page(request: HttpRequest, user: Any, here: str) -> HttpResponse:
    now = timezone.now()
    found = sessions.of(user, current=request.session.session_key, now=now)
    if request.method == "POST":
        if not stepup.is_recent(request, now=now):
            return prove_first(here, "Before you end sessions.")
        return _end(request, found, user, here)
    context = {
        "found": found,
        "subject": user,
        "name": printed_name(user),
        "own": user.pk == request.user.pk,
        "recent": stepup.is_recent(request, now=now),
    }
    return render(request, "account/sessions.html", context)


def _end(request: HttpRequest, found: list[sessions.Open], user: Any, here: str) -> HttpResponse:
    """End one session, or all but this one."""
    asked = request.POST.get("session", "")
    chosen = [one.row for one in found if not one.current and asked in ("others", str(one.row.pk))]
    why = "ended by its owner" if user.pk == request.user.pk else "ended by an admin"
    with request.once(here):  # type: ignore[attr-defined]
        count = sessions.end(chosen, by=actor_of(request, request.user), why=why, now=timezone.now())
    messages.success(request, f"Ended: {count}." if count else "It had ended already.")
    return redirect(here)
