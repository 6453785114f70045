"""The page that breaks the glass, and the review of it afterwards."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from approvals import confirming, stepup
from approvals.ledger import Refused
from rollout import access, glass, glass_review, permits, states
from rollout.forms_glass import GlassForm, ReviewForm
from rollout.middleware import actor_of
from rollout.models import BreakGlass
from rollout.states import RolloutState as R
from rollout.views.contexts import full_context
from rollout.views.difference import whole
from rollout.views.glass_view import reviewers_of
from rollout.views.once import claim
from rollout.views.page import Page, page_of
from rollout.views.proving import password_holds, proof_of
from rollout.views.refusals import sentences
from rollout.views.sign import points
from rollout.views.verbs import UNPROCESSABLE, who


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password")
@sentences
def rollout_glass(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what breaking the glass means, and do it."""
    page = page_of(request, pk)
    posted = request.POST if request.method == "POST" else None
    form = GlassForm(posted, digest=page.rollout.digest, stale=page.must_sign, passkey=page.passkey)
    if posted is not None and form.is_valid() and (proof := proof_of(page, form)):
        values = form.cleaned_data
        glass.break_glass(
            page.rollout,
            digest_seen=values["digest"],
            why_now=values["why_now"],
            why_safe=values["why_safe"],
            authenticated_at=proof.at,
            method=proof.method,
            signed=proof.signed,
            within=claim(request, "rollout", pk),
            **who(request),
        )
        confirming.remember(request, proof)
        messages.warning(request, "The glass is broken, under your name. Everybody was told; two others review it.")
        return redirect("rollout", pk)
    difference = whole(page)
    context = {
        **_preview(page),
        "page": page,
        "rollout": page.rollout,
        "changes": page.changes,
        "points": points(page, difference) if difference else (),
        "panel": page.panel,
        "form": form,
    }
    return render(request, "rollout/glass.html", context, status=UNPROCESSABLE if posted is not None else 200)


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_glass_review(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Record what another person says of a break-glass."""
    broken = get_object_or_404(BreakGlass.objects.with_story().select_related("sign_off"), pk=number, rollout_id=pk)
    page = page_of(request, pk)
    form = ReviewForm(request.POST, stale=page.stale)
    if not form.is_valid() or not password_holds(page, form):
        context = full_context(page_of(request, pk), {"glass_review": form})
        return render(request, "rollout/rollout.html", context, status=UNPROCESSABLE)
    made = glass_review.review(
        broken,
        verdict=form.cleaned_data["verdict"],
        words=form.cleaned_data["words"],
        authenticated_at=stepup.authenticated_at(request),
        method=stepup.method_of(request),
        within=claim(request, "rollout", pk),
        **who(request),
    )
    messages.success(request, f"Recorded under your name: {made.printed_name} {made.get_verdict_display()}.")
    return redirect("rollout", pk)


def _preview(page: Page) -> dict[str, Any]:
    """Return what would be passed over, or why nothing can be; the verb asks the same again."""
    rollout, user = page.rollout, page.request.user
    found: dict[str, Any] = {"passed": (), "why_not": "", "reviewers": ()}
    try:
        if not isinstance(user, User) or rollout.sign_off is None or rollout.state not in (R.WAITING, R.APPROVED):
            raise Refused(
                f"Only what was validated and waits for its sign-off; this rollout is {states.label(rollout.state)}."
            )
        permits.in_person(actor_of(page.request), user)
        permits.require(user, rollout.target, access.BREAKERS)
        permits.require_free(rollout.target, now=timezone.now(), emergency=True)
        standing = page.panel.standing if page.panel else None
        found["passed"] = glass.passed_over(rollout, standing, user_id=user.pk, now=page.now) if standing else ()
        found["reviewers"] = reviewers_of(rollout.sign_off, page.members, user.pk)
        found["why_not"] = "" if found["passed"] else "Nothing has to be passed over: start it in the normal way."
    except (Refused, PermissionDenied) as refusal:
        found["why_not"] = str(refusal)
    return found
