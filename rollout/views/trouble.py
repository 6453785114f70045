"""What a request answers that failed: outdated forms, full disks, unreadable configurations; a broken disk ends us."""

import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error as any_other

from monitoring import storage
from rollout import ballast
from rollout.api.errors import problem
from rollout.config_reader import ComponentError

# What must be possible on a full disk; the reserve is kept for them.
URGENT = frozenset({"rollout_abort", "rollout_rollback", "rollout_settle"})
UNREADABLE = "The configuration of a component that is in force cannot be read"
FULL = "The disk of Guarded Rollout is full; nothing was changed and nothing was kept."


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 507 when the disk is full, having given up the reserve for an abort or a rollback; otherwise 500."""
    error = sys.exc_info()[1]
    if error is None:
        return any_other(request)
    if isinstance(error, ComponentError):
        return _unreadable(request, error)
    if ballast.is_broken(error):
        storage.die_of_disk(f"the database: {error}")
    if not ballast.is_full(error):
        return any_other(request)
    match = request.resolver_match
    again = match is not None and match.url_name in URGENT and ballast.release()
    if request.path.startswith("/api/"):
        return problem(507, FULL, "the same request again, once there is room")
    page = loader.get_template("507.html").render({"full": FULL, "again": again})
    return HttpResponse(page, status=507)


def outdated_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form whose page does not belong to the browser's sign-in any more; nothing was done.

    No route of the API comes here: its views take no cookie, so they need no such proof.
    """
    return HttpResponse(loader.get_template("403_form.html").render({"reason": reason}), status=403)


def _unreadable(request: HttpRequest, error: ComponentError) -> HttpResponse:
    """Say which configuration cannot be read, and how to get past that; rollbacks by the system need none."""
    if request.path.startswith("/api/"):
        return problem(500, f"{UNREADABLE}: {error}", "an admin loads its component.toml again")
    page = loader.get_template("500_configuration.html").render({"error": str(error)})
    return HttpResponse(page, status=500)
