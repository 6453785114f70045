"""Three small layers around every request: content security policy, who is asking, and the access table."""

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from monitoring.audit import Actor
from rollout import access

Next = Callable[[HttpRequest], HttpResponse]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class ContentSecurityPolicy:
    """Allows nothing but our own files, and no inline script or style."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the policy in the headers."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        return response


class RequestContext:
    """Gives every request an id and an actor, so that an audit entry can say who asked, from where."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Put `actor` on the request and the request's id into the answer."""
        request.request_id = secrets.token_hex(8)  # type: ignore[attr-defined]
        request.actor = actor_of(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class AccessTable:
    """Asks the access table before any view runs; a route without a row is refused."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; `process_view` decides."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: list[object], kwargs: dict[str, object]
    ) -> None:
        """Raise PermissionDenied, with the roles that could, unless the table lets this user in."""
        access.check(request)


def actor_of(request: HttpRequest) -> Actor:
    """Return who is asking, as the audit names him."""
    user = request.user
    session = request.session.session_key or ""
    return Actor(
        id=user.pk if user.is_authenticated else None,
        name=user.get_username() or "anonymous",
        via="browser",
        address=request.META.get("REMOTE_ADDR", ""),
        session=session[:8],
        request_id=getattr(request, "request_id", ""),
    )
