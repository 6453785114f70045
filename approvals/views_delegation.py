"""The pages of being out of office: who stands in for whom, give a delegation, end it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from . import delegation, roles, stepup
from .actors import actor_of
from .forms_delegation import DelegationForm
from .groups import CONSENTING
from .models import Delegation
from .proof import Refused

PAST = 50


@require_http_methods(["GET", "HEAD", "POST"])
def delegations(request: HttpRequest) -> HttpResponse:
    """Show who stands in for whom, and let the reader name a deputy."""
    now, user = timezone.now(), _user(request)
    posted = request.POST if request.method == "POST" else None
    form = DelegationForm(posted, deputies=delegation.deputies(user), initial={"starts_at": timezone.localtime(now)})
    if posted is not None and form.is_valid() and (done := _give(request, form)):
        return done
    past = Delegation.objects.filter(user=user) | Delegation.objects.filter(deputy=user)
    context = {
        "form": form,
        "rows": [(one, _may_end(one, user)) for one in delegation.live(now=now)],
        "past": past.exclude(pk__in=delegation.live(now=now)).select_related("user__person", "deputy__person")[:PAST],
        "recent": stepup.is_recent(request, now=now),
        "longest": delegation.LONGEST.days,
        "may_give": delegation.may_consent(user),
        "consenting": CONSENTING,
        "now": now,
    }
    return render(request, "approvals/delegations.html", context, status=422 if form.errors else 200)


@require_POST
def delegation_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a delegation before its time."""
    given = get_object_or_404(Delegation.objects.select_related("user", "deputy"), pk=pk)
    values = {"user": _user(request), "why": request.POST.get("why", ""), "by": actor_of(request, request.user)}
    try:
        with request.once("delegations"):  # type: ignore[attr-defined]  # the top floor keeps the form's key
            delegation.end(given, **values, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Ended. What was approved by it before stands; it can be taken back.")
    return redirect("delegations")


def _give(request: HttpRequest, form: DelegationForm) -> HttpResponse | None:
    now, values = timezone.now(), form.cleaned_data
    if not stepup.is_recent(request, now=now):
        form.add_error(None, "Not saved: confirm that it is you (the link above), then save again.")
        return None
    by = actor_of(request, request.user)
    try:
        with request.once("delegations"):  # type: ignore[attr-defined]
            delegation.give(_user(request), values.pop("deputy"), **values, by=by, now=now)
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None
    messages.success(request, "Saved. Each approval on your behalf is recorded under the deputy's name, and says so.")
    return redirect("delegations")


def _may_end(given: Delegation, user: Any) -> bool:
    return user.pk in (given.user_id, given.deputy_id) or roles.is_admin(user)


def _user(request: HttpRequest) -> Any:
    return request.user
