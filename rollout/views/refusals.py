"""Answers with 409 when a verb refuses or somebody was faster: the sentence, who it was, and what he did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from approvals import people
from approvals.ledger import Refused
from rollout import once, undone, winners
from rollout.models import Configuration, Run
from rollout.transitions import ConflictError
from rollout.views.timeline import TITLES
from rollout.winners import Winner

TYPED = ("why", "reason", "text", "why_now", "why_safe", "words", "resolution", "notes", "commits")
NO_KEY = (
    "The form came without the key by which a second click is told from the first, so nothing was done. "
    "Open the page again and send it from there."
)
View = Callable[..., HttpResponse]
HELD = ("one_active_run_per_target", "rollout_run.target_id")  # as PostgreSQL and as SQLite name the constraint


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A winner as the page tells it; `faster`: it was done after the reader's page was made."""

    winner: Winner
    title: str
    name: str
    mine: bool
    faster: bool
    url: str


def sentences(view: View) -> View:
    """Turn what a view's verb refuses into the 409 page; do again, from the start, what the database undid."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        for left in reversed(range(undone.TRIES)):
            try:
                return view(request, *args, **kwargs)
            except (Refused, ConflictError) as error:
                return refused(request, str(error), see=getattr(error, "url", ""))
            except IntegrityError as error:
                if not any(name in str(error) for name in HELD):
                    raise
                return refused(request, "Another run of this target began a moment before.")
            except OperationalError as error:
                if not undone.is_undone(error):
                    raise
                if not left:
                    return refused(request, "The database was too busy. Send it again in a moment.", status=503)
        raise AssertionError("the last try returned nothing and raised nothing")

    return guarded


def refused(request: HttpRequest, sentence: str, *, status: int = 409, see: str = "") -> HttpResponse:
    """Return the 409 page with the sentence, who was faster, and what was typed, so that no reason is lost.

    `see` is the address of what has to be done first.
    """
    told = {"sentence": sentence, "back": _back(request), "see": see, "typed": _typed(request)}
    return render(request, "409.html", {**told, "shown": _shown(request)}, status=status)


def lacking(request: HttpRequest) -> HttpResponse:
    """Return the 400 page for a form without a key, with what was typed; it looks at nothing, and tells of nobody."""
    told = {"sentence": NO_KEY, "back": _back(request), "typed": _typed(request), "look": "Open the page again"}
    return render(request, "409.html", told, status=400)


def _typed(request: HttpRequest) -> list[str]:
    return [value for key in TYPED for value in request.POST.getlist(key) if value.strip()]


def _shown(request: HttpRequest) -> Shown | None:
    """Return who did last what decides over this request; None where nobody did anything."""
    found = _winner(request)
    if found is None:
        return None
    looked = once.moment_of(request.POST.get(once.FIELD, ""))
    return Shown(
        winner=found,
        title=TITLES.get(found.action) or found.action.replace(".", " ").replace("_", " ").capitalize(),
        name=_name(found),
        mine=found.user_id == request.user.pk,
        faster=looked is not None and _since(found.at, looked),
        url=_url(request, found),
    )


def _winner(request: HttpRequest) -> Winner | None:
    match = request.resolver_match
    route, values = (match.url_name or "", match.kwargs) if match else ("", {})
    pk: Any = values.get("pk")
    if route.startswith("rollout_") and pk:
        return winners.of_rollout(pk)
    if route.startswith("target_"):
        return winners.of("target", pk)
    if route == "token_revoke":
        return winners.of("token", pk)
    if route == "configuration_confirm":
        return winners.of("component", *Configuration.objects.filter(pk=pk).values_list("component", flat=True))
    return None


def _since(at: datetime, looked: datetime) -> bool:
    # a key keeps whole seconds
    return at is not None and at >= looked - timedelta(seconds=1)


def _name(found: Winner) -> str:
    if found.via == "system":
        return "the system"
    user = get_user_model().objects.select_related("person").filter(pk=found.user_id or 0).first()
    return people.printed_name(user) if user and found.by == user.get_username() else found.by


def _url(request: HttpRequest, found: Winner) -> str:
    """Return the page of the rollout that the winner has to do with: that of the run, or the one that was asked for."""
    match = request.resolver_match
    if found.kind == "run":
        return reverse("rollout", args=[Run.objects.values_list("rollout", flat=True).get(pk=found.id)])
    if match and (match.url_name or "").startswith("rollout_"):
        return reverse("rollout", args=[match.kwargs["pk"]])
    return ""


def _back(request: HttpRequest) -> str:
    """Return the page of ours that the request came from, or the dashboard."""
    came = request.headers.get("Referer", "")
    own = url_has_allowed_host_and_scheme(came, {request.get_host()}, require_https=request.is_secure())
    return came if own else "/"
