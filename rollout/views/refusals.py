"""Answers with 409 and the sentence when a verb refuses or somebody was faster, so that nobody meets a bare error."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from approvals.ledger import Refused
from rollout.transitions import ConflictError

View = Callable[..., HttpResponse]


def sentences(view: View) -> View:
    """Turn Refused and ConflictError of a view into the 409 page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (Refused, ConflictError) as error:
            return refused(request, str(error))

    return guarded


def refused(request: HttpRequest, sentence: str) -> HttpResponse:
    """Return the 409 page with the sentence and what was typed, so that no reason is lost."""
    typed = [value for key in ("why", "reason", "text") for value in request.POST.getlist(key) if value.strip()]
    context = {"sentence": sentence, "back": _back(request), "typed": typed}
    return render(request, "409.html", context, status=409)


def _back(request: HttpRequest) -> str:
    """Return the page of ours that the request came from, or the dashboard."""
    came = request.headers.get("Referer", "")
    own = url_has_allowed_host_and_scheme(came, {request.get_host()}, require_https=request.is_secure())
    return came if own else "/"
