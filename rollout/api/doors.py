"""What the API answers around its routes: no such route, another method, a body without a length; in JSON as well."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from rollout.api.errors import problem

View = Callable[..., HttpResponseBase]


def in_json(view: View) -> View:
    """Return a route's view with what it would say in plain text, or get wrong, said in JSON."""

    @wraps(view)
    def answer(request: HttpRequest, *args: object, **values: object) -> HttpResponseBase:
        if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH"):
            # WSGI hands over no more of a body than its length, so this one would look empty
            return problem(411, "the body comes in chunks, without a length", "the header Content-Length (send a file)")
        response = view(request, *args, **values)
        if response.status_code != 405:
            return response
        allowed = response.headers.get("Allow", "")
        refused = problem(405, f"this route does not take {request.method}", f"one of {allowed}")
        refused.headers["Allow"] = allowed
        return refused

    return answer


@csrf_exempt
@login_not_required
def unknown(request: HttpRequest) -> HttpResponse:
    """Answer that there is no such route."""
    return problem(404, f"there is no route {request.path}", "a route of the API, as /api/v1/docs lists them")
