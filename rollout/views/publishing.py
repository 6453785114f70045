"""GitHub on the page: ask it again, merge now; tasks do the talking."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from approvals import people
from rollout import access, nudge, permits, publishing
from rollout.middleware import actor_of
from rollout.models import Rollout
from rollout.views.once import claim
from rollout.views.refusals import sentences


@require_POST
@sentences
def rollout_publish(request: HttpRequest, pk: int) -> HttpResponse:
    """Have GitHub asked again about links and protection, and told how the sign-off stands."""
    rollout = _rollout(pk)
    user: Any = request.user
    permits.require(user, rollout.target, access.OWNERS | access.DECIDERS | access.STOPPERS)
    with claim(request, "rollout", pk):
        nudge.check(rollout.release_id)
        nudge.publish(rollout.pk)
    messages.info(request, f"GitHub is being asked, for {people.printed_name(user)}; load the page again in a moment.")
    return redirect("rollout", rollout.pk)


@require_POST
@sentences
def rollout_merge(request: HttpRequest, pk: int) -> HttpResponse:
    """MERGE_NOW: rebase and merge the pull request, once everything holds."""
    rollout = _rollout(pk)
    user: Any = request.user
    with claim(request, "rollout", pk):
        publishing.request_merge(rollout, user=user, by=actor_of(request), now=timezone.now())
        nudge.merge(rollout.pk)
    messages.info(request, "The merge was asked for; what came of it stands in the timeline in a moment.")
    return redirect("rollout", rollout.pk)


def _rollout(pk: int) -> Rollout:
    return get_object_or_404(Rollout.objects.with_places(), pk=pk)
