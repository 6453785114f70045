"""What a person does about a step whose end nobody saw: says what happened, has it tried again, asks the target."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from approvals.ledger import Refused
from rollout import access, deciding, nudge, permits, states
from rollout.middleware import actor_of
from rollout.models import Rollout
from rollout.states import RunState as N
from rollout.views.once import claim
from rollout.views.page import page_of
from rollout.views.refusals import sentences
from rollout.views.verbs import with_reason


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_done(request: HttpRequest, pk: int) -> HttpResponse:
    """Record that the unknown step was done, and go on."""
    act = _about(request, deciding.done)
    return with_reason(request, pk, "done", act, "Recorded under your name: it was done. The run goes on.")


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_not_done(request: HttpRequest, pk: int) -> HttpResponse:
    """Record that the unknown step was not done; the run ends."""
    said = "Recorded under your name: it was not done. This page says what follows from it."
    return with_reason(request, pk, "not_done", _about(request, deciding.not_done), said)


@require_POST
@sensitive_post_parameters("password")
@sentences
def rollout_try_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for another attempt of the unknown step, or confirm what another person asked for."""

    def ask_or_confirm(rollout: Rollout, **who: Any) -> None:
        # whoever read "ask for a second person" must not find that he was the second: a request is news too
        if _about(request, deciding.try_again)(rollout, **who):
            messages.success(request, "Confirmed under your name: it is tried again now. This page follows it.")
        else:
            messages.warning(request, "Asked for under your name. Nothing runs before another person confirms it.")

    return with_reason(request, pk, "try_again", ask_or_confirm, "")


def _about(request: HttpRequest, act: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decision, bound to what the person saw; refuse a form that does not say what it is about."""
    seen = request.POST.get("seen", "")
    if not seen.isdecimal():
        raise Refused("This form does not say which step it is about. Load the page again, then decide.")
    return partial(act, seen=int(seen[:9]))


@require_POST
@sentences
def rollout_probe(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the target again how the unknown step stands; the host of the run answers in a moment."""
    page = page_of(request, pk)
    user: Any = request.user
    permits.in_person(actor_of(request), user)
    permits.require(user, page.rollout.target, access.STOPPERS)
    run = page.rollout.runs.filter(state=N.UNKNOWN).first()
    if run is None:
        raise Refused(f"There is nothing to ask: the rollout is {states.label(page.rollout.state)}.")
    with claim(request, "rollout", pk):
        nudge.probe(run.pk)
    messages.info(request, "The target is being asked; its answer appears here in a few seconds.")
    return redirect("rollout", pk)
