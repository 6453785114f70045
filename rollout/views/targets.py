"""Locks a target at once, and unlocks it after a fresh proof, with a written reason."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from approvals import stepup
from approvals.ledger import Refused
from approvals.views_people import confirm_url
from rollout import locking
from rollout.middleware import actor_of
from rollout.models import Target
from rollout.views.once import claim
from rollout.views.refusals import sentences

PROVE = (
    "Unlocking asks once more who you are, not longer ago than five minutes. Nothing was changed; then send it again."
)


class ProofDueError(Refused):
    """To unlock takes a fresh proof; `url` is where it is given."""

    def __init__(self, target: Target) -> None:
        super().__init__(PROVE)
        self.url = confirm_url(reverse("component", args=[target.component.name]), f"Before you unlock {target}.")


@require_POST
@sentences
def target_lock(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep everybody from starting anything on a target."""
    return _set(request, pk, locked=True)


@require_POST
@sentences
def target_unlock(request: HttpRequest, pk: int) -> HttpResponse:
    """Let rollouts start on a target again; a lock anybody sets who may stop, this takes a proof of who he is."""
    return _set(request, pk, locked=False)


def _set(request: HttpRequest, pk: int, *, locked: bool) -> HttpResponse:
    target = get_object_or_404(Target.objects.select_related("component", "environment"), pk=pk)
    if not locked and not stepup.is_recent(request, now=timezone.now()):
        raise ProofDueError(target)
    user: Any = request.user
    verb = locking.lock if locked else locking.unlock
    with claim(request, "component", target.component.name):
        verb(target, user=user, why=request.POST.get("why", ""), by=actor_of(request), now=timezone.now())
    done = (
        "is locked: nothing starts there until somebody unlocks it"
        if locked
        else "is unlocked: rollouts may start again"
    )
    messages.success(request, f"{target} {done}.")
    return redirect("component", target.component.name)
