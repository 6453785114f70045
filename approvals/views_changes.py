"""Pages of changes of people: which wait, one with its difference, its answer, a person's new password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from . import change_rules, changes, handover, roles, stepup
from .actors import actor_of
from .forms_people import ChoosePasswordForm
from .models import Change
from .people import printed_name
from .proof import Refused
from .roles import Difference, Rights
from .views_people import asker_of, confirm_url

SHOWN = 50


@require_GET
def change_list(request: HttpRequest) -> HttpResponse:
    """Show what waits for a second admin, and what was answered."""
    now = timezone.now()
    past = Change.objects.exclude(pk__in=change_rules.open_changes(now).values("pk"))
    past = past.select_related("user__person", "proposed_by__person", "answer__by__person")[:SHOWN]
    context = {"waiting": [_shown(one, request.user) for one in change_rules.open_changes(now)], "past": past}
    return render(request, "approvals/change_list.html", context)


@never_cache
@require_GET
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one change, and to those two who hand a password over the part that is theirs."""
    rows = Change.objects.select_related("user__person", "proposed_by__person", "answer__by__person")
    found = get_object_or_404(rows, pk=pk)
    now, admins = timezone.now(), roles.admins()
    waiting = getattr(found, "answer", None) is None and now < found.expires_at
    context = {
        **_shown(found, request.user),
        "waiting": waiting,
        "stale": waiting and change_rules.is_stale(found),
        "recent": stepup.is_recent(request, now=now),
        "confirm_url": confirm_url(request.path, f"You are about to decide over {printed_name(found.user)}."),
        "admin_count": len(admins),
        "about_admin": found.user in admins,
        **_handed(found, request, waiting=waiting, now=now),
    }
    return render(request, "approvals/change.html", context)


@require_POST
def change_answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm, refuse or withdraw a change."""
    found = get_object_or_404(Change, pk=pk)
    answer, back, now = request.POST.get("answer", ""), reverse("change", args=[pk]), timezone.now()
    if answer != "withdraw" and not stepup.is_recent(request, now=now):
        return redirect(confirm_url(back, "You are about to decide over a person. Then press the button again."))
    asker = asker_of(request)
    try:
        with request.once("change", pk):  # type: ignore[attr-defined]  # the top floor keeps the form's key
            if answer == "confirm":
                changes.confirm(found, asker=asker)
            elif answer == "refuse":
                changes.refuse(found, why=request.POST.get("why", ""), asker=asker)
            elif answer == "withdraw":
                changes.withdraw(found, asker=asker)
            else:
                raise Refused("Confirm it, refuse it, or withdraw it.")
    except Refused as refusal:
        typed = [why] if (why := request.POST.get("why", "").strip()) else []
        return render(request, "409.html", {"sentence": str(refusal), "back": back, "typed": typed}, status=409)
    messages.success(request, SAID[answer])
    return redirect("change", pk)


@never_cache
@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest, token: str) -> HttpResponse:
    """Let a person choose a password that nobody else knows."""
    now = timezone.now()
    found = handover.change_of(token, now=now)
    if found is None:
        raise Http404("this link was used or is out of date")
    owner = found.user
    form = ChoosePasswordForm(request.POST if request.method == "POST" else None, owner=owner)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            handover.choose(
                found, code=values["code"], password=values["password"], by=actor_of(request, owner), now=now
            )
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "That is your password now. Sign in with it.")
            return redirect("login")
    return render(request, "registration/choose_password.html", {"form": form, "owner": owner})


SAID = {
    "confirm": "Confirmed. It counts from this moment on, also for approvals given before.",
    "refuse": "Refused. Nothing has changed.",
    "withdraw": "Withdrawn. Nothing has changed.",
}


def _shown(one: Change, reader: Any) -> dict[str, Any]:
    return {
        "change": one,
        "differences": _differences(one),
        "why_not": change_rules.why_not_second(one, reader),
        "mine": one.proposed_by_id == reader.pk,
    }


def _differences(one: Change) -> list[Difference]:
    """Return what the change does; of one whose addresses were emptied after retention nothing is left to compare."""
    found = roles.differences(Rights.of_text(one.old), Rights.of_text(one.new)) if one.old and one.new else []
    if one.kind == Change.Kind.FACTORS:
        gone = "none, until the person sets it up anew"
        found.append(Difference(label="second step", before="apps, passkeys, recovery codes", after=gone))
    if one.kind in handover.HANDED:
        before = "none" if one.kind == Change.Kind.ACCOUNT else "the person's own"
        found.append(Difference(label="password", before=before, after="a new one that only the person knows"))
    return found


def _handed(one: Change, request: HttpRequest, *, waiting: bool, now: Any) -> dict[str, Any]:
    """Return the half that is this reader's: the code the proposer's, the link the confirmer's."""
    if waiting or not handover.is_open(one, now=now):
        return {}
    found: dict[str, Any] = {"until": one.answer.at + handover.VALID, "open": True}
    if request.user.pk == one.proposed_by_id:
        found["code"] = handover.code_of(one)
    if request.user.pk == one.answer.by_id:
        found["link"] = settings.GR_BASE_URL + reverse("choose_password", args=[handover.token_of(one)])
    return found
