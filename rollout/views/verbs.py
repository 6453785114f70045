"""What a person does to a rollout with a button: parse, prove who it is where asked, call the action, go back."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from approvals import confirming
from approvals.ledger import Refused
from rollout import actions, drafting, reviewing, settling, starting
from rollout.forms import ReasonForm
from rollout.middleware import actor_of
from rollout.states import label
from rollout.views import signing
from rollout.views.contexts import decision_form, full_context, reason_form, start_form, tune_form
from rollout.views.once import claim
from rollout.views.page import Page, page_of
from rollout.views.proving import password_holds, proof_of
from rollout.views.refusals import sentences
from rollout.views.sign import sign_context

UNPROCESSABLE = 422


@require_POST
@sentences
def rollout_submit(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the validate run."""
    page = page_of(request, pk)
    with claim(request, "rollout", pk):
        actions.submit(page.rollout, **who(request))
    messages.success(request, "Submitted: the validate run proves it without changing anything.")
    return redirect("rollout", pk)


@require_POST
@sentences
def rollout_tune(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept or tune the monitoring."""
    page = page_of(request, pk)
    form = tune_form(page, request.POST)
    if not form.is_valid():
        return _again(page, "tune", form)
    values = {"changes": form.changes, "accepted": form.cleaned_data["accepted"], **who(request)}
    with claim(request, "rollout", pk):
        parts = drafting.tune(page.rollout, **values)
    if parts:
        messages.warning(
            request, f"Saved. The sign-offs are void, because it changes what is signed: {', '.join(parts)}."
        )
    else:
        messages.success(
            request, "Saved. Whoever tunes gates cannot approve this rollout." if form.changes else "Saved."
        )
    return redirect("rollout", pk)


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve, reject or take back, over the digest that the person saw."""
    page = page_of(request, pk)
    if page.panel is None or not page.panel.is_open:
        raise Refused(f"Nothing can be decided any more, and nothing was recorded: {_ended(page)}")
    form = decision_form(page, request.POST)
    if "duty" in form.errors:
        raise Refused(f"You cannot sign so any more, and nothing was recorded: {page.panel.why_not or 'look again'}")
    if not form.is_valid() or (proof := proof_of(page, form)) is None:
        return _again(page, "decide", form)
    values = form.cleaned_data
    duty, on_behalf_of = signing.chosen(values["duty"] if values["kind"] == "APPROVE" else "")
    decision = actions.decide(
        page.rollout,
        kind=values["kind"],
        duty=duty,
        on_behalf_of=on_behalf_of,
        digest_seen=values["digest"],
        reason=values["reason"],
        authenticated_at=proof.at,
        method=proof.method,
        signed=proof.signed,
        diff_opened=page.has_opened,
        within=claim(request, "rollout", pk),
        **who(request),
    )
    confirming.remember(request, proof)
    messages.success(
        request, f"Recorded under your name: {decision.get_kind_display()}. It binds digest {decision.digest[:12]}."
    )
    return redirect("rollout", pk)


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue the deploy run."""
    page = page_of(request, pk)
    form = start_form(page, request.POST)
    if not form.is_valid() or (proof := proof_of(page, form)) is None:
        return _again(page, "start", form)
    seen = form.cleaned_data["digest"]
    starting.start(page.rollout, digest_seen=seen, proof=proof, within=claim(request, "rollout", pk), **who(request))
    confirming.remember(request, proof)
    messages.success(request, "Started. This page follows it.")
    return redirect("rollout", pk)


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_abort(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop what is going on."""
    return with_reason(request, pk, "abort", actions.abort, "Abort asked for: the command that runs is told to stop.")


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_rollback(request: HttpRequest, pk: int) -> HttpResponse:
    """Go back to the backup that was taken before the deploy."""
    return with_reason(request, pk, "rollback", actions.roll_back, "Rolling back. This page follows it.")


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a release stay whose watch ended without a clear verdict."""
    return with_reason(request, pk, "accept", actions.accept, "Accepted: the release stays.")


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_settle(request: HttpRequest, pk: int) -> HttpResponse:
    """End a rollout whose target was put right by hand."""
    return with_reason(request, pk, "settle", settling.settle, "Settled under your name. The target stays locked.")


@require_POST
@sentences
def rollout_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Give up a rollout that has not begun."""
    return with_reason(request, pk, "cancel", actions.cancel, "Cancelled. Nothing was changed.")


@require_POST
@sentences
def rollout_review(request: HttpRequest, pk: int) -> HttpResponse:
    """Review a rollback after the fact."""

    def review(rollout: Any, *, why: str, **who: Any) -> None:
        reviewing.review(rollout, note=why, **who)

    return with_reason(request, pk, "review", review, "Review recorded under your name.")


def with_reason(request: HttpRequest, pk: int, name: str, act: Callable[..., Any], done: str) -> HttpResponse:
    """Do what needs a reason, and the password where the proof is old; go back to the page and say what was done."""
    page = page_of(request, pk)
    form: ReasonForm = reason_form(page, name, request.POST)
    if not form.is_valid() or not password_holds(page, form):
        return _again(page, name, form)
    with claim(request, "rollout", pk):
        act(page.rollout, why=form.cleaned_data["why"], **who(request))
    if done:
        messages.success(request, done)
    return redirect("rollout", pk)


def who(request: HttpRequest) -> dict[str, Any]:
    """Return the arguments that tell a verb who asks, and when."""
    user: User = request.user  # type: ignore[assignment]
    return {"user": user, "by": actor_of(request), "now": timezone.now()}


def _ended(page: Page) -> str:
    rollout = page.rollout
    return f"the rollout is {label(rollout.state)}. {rollout.state_why}".strip()


def _again(page: Page, name: str, form: Form) -> HttpResponse:
    """Show the page again with the form that was refused, and what was typed in it."""
    fresh = page_of(page.request, page.rollout.pk)
    if name == "decide" and page.request.POST.get("page") == "sign":
        return render(page.request, "rollout/sign.html", sign_context(fresh, {name: form}), status=UNPROCESSABLE)
    context = full_context(fresh, {name: form})
    return render(page.request, "rollout/rollout.html", context, status=UNPROCESSABLE)
