"""The page of a rollout, the list of rollouts, a new one, its manifest."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from approvals.ledger import Refused
from rollout import access, drafting
from rollout.forms import NewRolloutForm, RolloutFilterForm
from rollout.middleware import actor_of
from rollout.models import Rollout
from rollout.views.contexts import full_context
from rollout.views.once import claim
from rollout.views.page import page_of

SIZES = (25, 50, 100)


@require_GET
def rollout(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell the story of one rollout."""
    return render(request, "rollout/rollout.html", full_context(page_of(request, pk)))


@require_GET
def rollout_list(request: HttpRequest) -> HttpResponse:
    """List the rollouts, newest first; the filters stand in the URL."""
    form = RolloutFilterForm(request.GET, user=request.user)
    rows = access.known(request.user, Rollout.objects.with_places(), "target__component__name")
    rows = _filtered(rows.order_by("-pk"), form)
    size = request.GET.get("size", "")
    paginator = Paginator(rows, int(size) if size in map(str, SIZES) else SIZES[0])
    context = {"form": form, "page_obj": paginator.get_page(request.GET.get("page"))}
    return render(request, "rollout/rollout_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def rollout_new(request: HttpRequest) -> HttpResponse:
    """Make the draft of a rollout."""
    asked = {key: request.GET[key] for key in ("release", "target") if key in request.GET}
    form = NewRolloutForm(request.POST if request.method == "POST" else None, initial=asked, user=request.user)
    if request.method == "POST" and form.is_valid():
        user: Any = request.user
        values = form.cleaned_data
        try:
            with claim(request) as answer:
                made = drafting.create_rollout(
                    values["release"],
                    values["target"],
                    reason=values["reason"],
                    user=user,
                    by=actor_of(request),
                    now=timezone.now(),
                )
                answer.text = made.get_absolute_url()
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "The draft is made. Its checklist says what is still missing.")
            return redirect("rollout", made.pk)
    return render(request, "rollout/rollout_new.html", {"form": form}, status=422 if form.errors else 200)


def _filtered(rows: QuerySet[Rollout], form: RolloutFilterForm) -> QuerySet[Rollout]:
    if not form.is_valid():
        return rows
    wanted = {
        "target__component": form.cleaned_data["component"],
        "target__environment": form.cleaned_data["environment"],
        "state": form.cleaned_data["state"],
    }
    return rows.filter(**{key: value for key, value in wanted.items() if value})
