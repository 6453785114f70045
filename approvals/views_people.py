"""Pages of people: all of them, one, a new one. What an admin changes about another is a proposal."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from . import change_rules, changes, factors, naming, roles, stepup
from .actors import actor_of
from .bootstrap import ENOUGH
from .change_rules import Asker
from .forms import ProfileForm
from .forms_people import NewPersonForm, RightsForm, WhyForm
from .groups import GROUPS
from .models import Change, Person
from .people import person_of, printed_name
from .proof import Refused

page = require_http_methods(["GET", "HEAD", "POST"])
ADMIN_PARTS = ("rights", "password", "factors", "disable")


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Show who holds which role."""
    users = get_user_model().objects.select_related("person").prefetch_related("groups").order_by("username")
    context = {
        "rows": [_row(user) for user in users],
        "groups": GROUPS.items(),
        "waiting": change_rules.open_changes(timezone.now()).count(),
        **_admins(request),
    }
    return render(request, "approvals/people.html", context)


@page
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show a person; his profile to himself, and to another admin what can be proposed about him."""
    user = get_object_or_404(get_user_model().objects.select_related("person"), pk=user_id)
    admin, own = roles.is_admin(request.user), user.pk == request.user.pk
    if not (admin or own):
        raise PermissionDenied("A person's page is for that person and for admin.")
    part = request.POST.get("part", "") if request.method == "POST" else ""
    if part in ADMIN_PARTS and (own or not admin):
        raise PermissionDenied("Roles, components, addresses and passwords are changed by two other admins.")
    if part == "profile" and not own:
        raise PermissionDenied("Everyone sets his own printed name: it is his signature.")
    forms = _forms(request, user, part)
    if part in forms and forms[part].is_valid():
        done: HttpResponse | None = SAVES[part](request, user, forms[part])
        if done is not None:
            return done
    context = {
        "subject": user,
        "row": _row(user),
        "forms": forms,
        "admin": admin,
        "own": own,
        "recent": stepup.is_recent(request, now=timezone.now()),
        "confirm_url": confirm_url(request.path, _purpose(user, own=own)),
        "waiting": change_rules.open_changes(timezone.now()).filter(user=user).first(),
        "past": _past(user) if admin else [],
        "has_factors": admin and factors.has_any(user),
        "is_admin_account": roles.ADMIN in _row(user)["roles"],
        **_admins(request),
    }
    return render(request, "approvals/person.html", context)


@page
def person_new(request: HttpRequest) -> HttpResponse:
    """Propose a new person."""
    form = NewPersonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and (done := _save_new(request, form)):
        return done
    context = {
        "form": form,
        "recent": stepup.is_recent(request, now=timezone.now()),
        "confirm_url": confirm_url(request.path, "You are about to propose a new person."),
        **_admins(request),
    }
    return render(request, "approvals/person_new.html", context)


def confirm_url(back: str, purpose: str) -> str:
    """Return the address where a person confirms that it is he, and comes back from."""
    return f"{reverse('confirm')}?{urlencode({'next': back, 'purpose': purpose})}"


def asker_of(request: HttpRequest) -> Asker:
    """Return who asks, and when he last proved that it is he."""
    return Asker(
        user=request.user,
        authenticated_at=stepup.authenticated_at(request),
        by=actor_of(request, request.user),
        now=timezone.now(),
    )


def _purpose(user: Any, *, own: bool) -> str:
    return (
        "You are about to change your signature."
        if own
        else f"You are about to propose a change of {printed_name(user)}."
    )


def _admins(request: HttpRequest) -> dict[str, Any]:
    found = roles.admins()
    return {
        "admin_count": len(found),
        "enough_admins": len(found) >= ENOUGH,
        "changes_people": request.user.pk in {one.pk for one in found},
    }


def _row(user: Any) -> dict[str, Any]:
    person = person_of(user)
    return {
        "user": user,
        "name": printed_name(user),
        "zone": person.zone if person else "UTC",
        "roles": sorted(group.name for group in user.groups.all()),
        "components": person.components if person else [],
        "commit_emails": person.commit_emails if person else [],
    }


def _past(user: Any) -> list[Change]:
    rows = Change.objects.filter(user=user, answer__isnull=False)
    return list(rows.select_related("user__person", "proposed_by__person", "answer__by__person")[:10])


def _forms(request: HttpRequest, user: Any, part: str) -> dict[str, Any]:
    """Return the forms of the page by part; the one that was sent is filled in."""
    data = {part: request.POST}
    profile = person_of(user) or Person(printed_name=printed_name(user))
    shown = {"printed_name": profile.printed_name, "zone": profile.zone}
    rights = RightsForm.values(roles.rights_of(user))
    return {
        "profile": ProfileForm(data.get("profile"), initial=shown),
        "rights": RightsForm(data.get("rights"), initial=rights, auto_id="rights_%s"),
        "password": WhyForm(data.get("password"), auto_id="password_%s"),
        "factors": WhyForm(data.get("factors"), auto_id="factors_%s"),
        "disable": WhyForm(data.get("disable"), auto_id="disable_%s"),
    }


def _save_profile(request: HttpRequest, user: AbstractUser, form: ProfileForm) -> HttpResponse | None:
    values = form.cleaned_data
    try:
        with request.once("person", user.pk):  # type: ignore[attr-defined]  # the top floor keeps the form's key
            naming.set_profile(user, name=values["printed_name"], zone=values["zone"], asker=asker_of(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "Saved. Earlier signatures keep the name they were given under.")
    return redirect("person", user.pk)


def _save_rights(request: HttpRequest, user: AbstractUser, form: RightsForm) -> HttpResponse | None:
    return _propose(request, form, user, kind=Change.Kind.RIGHTS, rights=form.rights())


def _save_password(request: HttpRequest, user: AbstractUser, form: WhyForm) -> HttpResponse | None:
    return _propose(request, form, user, kind=Change.Kind.PASSWORD, rights=None)


def _save_factors(request: HttpRequest, user: AbstractUser, form: WhyForm) -> HttpResponse | None:
    return _propose(request, form, user, kind=Change.Kind.FACTORS, rights=None)


def _propose(request: HttpRequest, form: Any, user: Any, **what: Any) -> HttpResponse | None:
    try:
        with request.once("person", user.pk) as kept:  # type: ignore[attr-defined]
            change = changes.propose(user, why=form.cleaned_data["why"], asker=asker_of(request), **what)
            kept.text = reverse("change", args=[change.pk])
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "Proposed. Nothing has changed yet: another admin finds it in the inbox.")
    return redirect("change", change.pk)


def _save_disabled(request: HttpRequest, user: AbstractUser, form: WhyForm) -> HttpResponse | None:
    try:
        with request.once("person", user.pk):  # type: ignore[attr-defined]
            changes.disable(user, why=form.cleaned_data["why"], asker=asker_of(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "The account is closed, and its sessions have ended. Two admins can open it again.")
    return redirect("person", user.pk)


def _save_new(request: HttpRequest, form: NewPersonForm) -> HttpResponse | None:
    values = form.cleaned_data
    names = {"username": values["username"], "name": values["printed_name"], "why": values["why"]}
    try:
        with request.once("people") as kept:  # type: ignore[attr-defined]
            change = changes.add_person(rights=form.rights(), asker=asker_of(request), **names)
            kept.text = reverse("change", args=[change.pk])
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "Proposed. The account is closed until another admin confirms it.")
    return redirect("change", change.pk)


SAVES: dict[str, Any] = {
    "profile": _save_profile,
    "rights": _save_rights,
    "password": _save_password,
    "factors": _save_factors,
    "disable": _save_disabled,
}
