"""Locks a target and unlocks it, with a written reason."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from rollout import actions
from rollout.middleware import actor_of
from rollout.models import Target
from rollout.views.once import claim
from rollout.views.refusals import sentences


@require_POST
@sentences
def target_lock(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep everybody from starting anything on a target."""
    return _set(request, pk, locked=True)


@require_POST
@sentences
def target_unlock(request: HttpRequest, pk: int) -> HttpResponse:
    """Let rollouts start on a target again."""
    return _set(request, pk, locked=False)


def _set(request: HttpRequest, pk: int, *, locked: bool) -> HttpResponse:
    target = get_object_or_404(Target.objects.select_related("component", "environment"), pk=pk)
    user: Any = request.user
    verb = actions.lock if locked else actions.unlock
    with claim(request, "component", target.component.name):
        verb(target, user=user, why=request.POST.get("why", ""), by=actor_of(request), now=timezone.now())
    done = (
        "is locked: nothing starts there until somebody unlocks it"
        if locked
        else "is unlocked: rollouts may start again"
    )
    messages.success(request, f"{target} {done}.")
    return redirect("component", target.component.name)
