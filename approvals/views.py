"""Pages about people: who may do what, a person, password re-entry, the first admins."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from . import bootstrap, roles, stepup
from .actors import actor_of
from .forms import ConfirmForm, FirstAdminsForm, ProfileForm, RightsForm
from .groups import GROUPS
from .models import Person
from .people import person_of, printed_name
from .proof import Refused

page = require_http_methods(["GET", "HEAD", "POST"])


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Show who may do what."""
    users = get_user_model().objects.select_related("person").prefetch_related("groups").order_by("username")
    rows = [_row(user) for user in users]
    return render(request, "approvals/people.html", {"rows": rows, "groups": GROUPS.items()})


@page
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show a person; his profile to himself and to admins, his rights to another admin."""
    user = get_object_or_404(get_user_model().objects.select_related("person"), pk=user_id)
    admin, own = roles.is_admin(request.user), user.pk == request.user.pk
    if not (admin or own):
        raise PermissionDenied("A person's page is for that person and for admin.")
    part = request.POST.get("part", "") if request.method == "POST" else ""
    if part == "rights" and (own or not admin):
        raise PermissionDenied("Roles, components and commit addresses are changed by another person who is admin.")
    profile = ProfileForm(request.POST if part == "profile" else None, initial=_profile(user))
    rights = RightsForm(request.POST if part == "rights" else None, initial=RightsForm.values(roles.rights_of(user)))
    if part == "profile" and profile.is_valid():
        return _save_profile(request, user, profile)
    if part == "rights" and rights.is_valid() and (done := _save_rights(request, user, rights)):
        return done
    context = {
        "subject": user,
        "row": _row(user),
        "profile": profile,
        "rights": rights if admin and not own else None,
        "admin": admin,
        "own": own,
        "recent": stepup.is_recent(request, now=timezone.now()),
    }
    return render(request, "approvals/person.html", context)


@never_cache
@sensitive_post_parameters("password")
@page
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the password again, and go on to where it is needed."""
    now = timezone.now()
    target = _safe_next(request)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if stepup.confirm(request, form.cleaned_data["password"], now=now):
            return HttpResponseRedirect(target)
        _explain(form, request.user.pk, now)
    context = {"form": form, "next": target, "purpose": request.GET.get("purpose", "")[:200], "cancel_url": target}
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


def _row(user: Any) -> dict[str, Any]:
    person = person_of(user)
    return {
        "user": user,
        "name": printed_name(user),
        "zone": person.zone if person else "UTC",
        "roles": {group.name for group in user.groups.all()},
        "components": person.components if person else [],
        "commit_emails": person.commit_emails if person else [],
    }


def _profile(user: AbstractUser) -> dict[str, str]:
    person = person_of(user) or Person(printed_name=printed_name(user))
    return {"printed_name": person.printed_name, "zone": person.zone}


def _save_profile(request: HttpRequest, user: AbstractUser, form: ProfileForm) -> HttpResponse:
    values = form.cleaned_data
    by = actor_of(request, request.user)
    roles.set_profile(user, name=values["printed_name"], zone=values["zone"], by=by, now=timezone.now())
    messages.success(request, "Saved. Earlier signatures keep the name they were given under.")
    return redirect("person", user.pk)


def _save_rights(request: HttpRequest, user: AbstractUser, form: RightsForm) -> HttpResponse | None:
    why, by, now = form.cleaned_data["why"], actor_of(request, request.user), timezone.now()
    if not stepup.is_recent(request, now=now):
        form.add_error(None, "Not saved: confirm that it is you (the link above), then save again.")
        return None
    try:
        roles.set_rights(user, form.rights(), why=why, by=by, now=now)
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "Saved. It counts at once, also for approvals given before.")
    return redirect("person", user.pk)


def _explain(form: ConfirmForm, user_id: int | None, now: Any) -> None:
    until = stepup.wait_until(user_id, now=now) if user_id else None
    if until:
        form.add_error(None, f"Too many wrong passwords. Try again after {timezone.localtime(until):%H:%M}.")
    else:
        form.add_error("password", "This is not your password.")


def _safe_next(request: HttpRequest) -> str:
    """Return where to go on: a place of our own, never what a link from outside asks for."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if own else reverse("people")
