"""Small layers around every request: security policy, a restore, who is asking, the access table, keys of forms."""

import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from approvals.actors import signs_as
from monitoring import redact, unseen
from monitoring.audit import Actor
from rollout import access, boot
from rollout.client_address import client_address, is_trusted
from rollout.once import AnsweredError
from rollout.views import once
from rollout.views.closing import closing

Next = Callable[[HttpRequest], HttpResponse]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# what no page of ours needs; passkeys are allowed to ourselves
FEATURES = ", ".join(
    (
        *("camera=()", "microphone=()", "geolocation=()", "display-capture=()", "usb=()", "serial=()", "hid=()"),
        *("midi=()", "payment=()", "screen-wake-lock=()", "accelerometer=()", "gyroscope=()", "magnetometer=()"),
        *("publickey-credentials-get=(self)", "publickey-credentials-create=(self)"),
    )
)
RESTORING = "Guarded Rollout is being restored from a backup of itself. Try again when that is done.\n"


class TrustedProxies:
    """Replaces a trusted proxy's address by its client's; takes nobody else's word for it, nor for https."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with REMOTE_ADDR put right."""
        trusted, meta = settings.GR_TRUSTED_PROXIES, request.META
        if trusted:
            peer = meta.get("REMOTE_ADDR", "")
            if not is_trusted(peer, trusted):
                meta.pop("HTTP_X_FORWARDED_PROTO", None)
            meta["REMOTE_ADDR"] = client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), trusted)
        return self.get_response(request)


class SecurityPolicy:
    """Allows nothing but our own files, no inline script or style, no other site, and no copy in a cache."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        reports = settings.GR_CSP_REPORT_URI
        self.policy = f"{POLICY}; report-uri {reports}" if reports else POLICY

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the policy in the headers."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault("Permissions-Policy", FEATURES)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if response.status_code >= 400 and not response.streaming:
            _without_secrets(response)
        if not request.path.startswith(settings.STATIC_URL):
            # what one reads signed in must not stand in a browser's cache when the next one sits down there
            response.headers["Cache-Control"] = "private, no-store"
        return response


class Restoring:
    """Answers 503 while the installation is being restored, and lets nobody go on in the database that stood before."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.first = _database_file()
        self.seen = threading.local()  # a connection belongs to a thread

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, from the database file that stands there now."""
        if boot.is_unfinished():
            return HttpResponse(RESTORING, status=503, content_type="text/plain", headers={"Retry-After": "30"})
        file = _database_file()
        if file != getattr(self.seen, "file", self.first):
            connection.close()
        self.seen.file = file
        return self.get_response(request)


class RequestContext:
    """Gives every request an id and an actor, so that an audit entry can say who asked, from where; and `closing`."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Put `actor` on the request and the request's id into the answer."""
        request.request_id = secrets.token_hex(8)  # type: ignore[attr-defined]
        request.actor = actor_of(request)  # type: ignore[attr-defined]
        request.closing = partial(closing, request)  # type: ignore[attr-defined]  # monitoring knows of no glass
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class AccessTable:
    """Asks the access table before any view runs; a route, a method or an object without a row is refused."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; `process_view` decides."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: list[object], kwargs: dict[str, object]
    ) -> HttpResponse | None:
        """Raise PermissionDenied, with the roles that could, or Http404, unless the table lets this user in."""
        return access.check(request)


class AdminInCodes:
    """Shows on the admin site by its code what moves, reorders or hides text: its templates know no filter of ours."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; what is rendered is looked at."""
        return self.get_response(request)

    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Have the page looked at once it is rendered."""
        if request.resolver_match and request.resolver_match.app_name == "admin":
            response.add_post_render_callback(_in_codes)
        return response


class Once:
    """Refuses a form without a key, and leads one that was sent twice to where the first one led.

    It stands behind the access table, so that whoever may not do a thing is told so, key or no key. `request.once` does
    the work and keeps where that led.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; what was refused only because its own twin was faster is no refusal."""
        request.once = partial(once.claim, request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if 400 <= response.status_code < 500:
            return once.already(request) or response
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: list[object], kwargs: dict[str, object]
    ) -> HttpResponse | None:
        """Look at the key before any view looks at a state that the first request has changed."""
        request.asked = once.asked_of(request)  # type: ignore[attr-defined]
        return once.refusal(request) or once.already(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer as the twin that took the key a moment before."""
        return once.already(request) if isinstance(exception, AnsweredError) else None


def _in_codes(response: TemplateResponse) -> None:
    response.content = unseen.in_codes(response.content.decode()).encode()


def _without_secrets(response: HttpResponse) -> None:
    """Take what an error quotes of our settings out of the answer."""
    said = response.content.decode(errors="surrogateescape")
    if (cleaned := redact.text(said)) != said:
        response.content = cleaned.encode(errors="surrogateescape")
        if "Content-Length" in response.headers:
            response.headers["Content-Length"] = str(len(response.content))


def _database_file() -> tuple[int, int] | None:
    """Return which file the database is: an open one is still read and written after another took its name."""
    if connection.vendor != "sqlite":
        return None
    try:
        found = Path(connection.settings_dict["NAME"]).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def actor_of(request: HttpRequest) -> Actor:
    """Return who is asking, as the audit names him."""
    user = request.user
    session = request.session.session_key or ""
    return Actor(
        id=user.pk if user.is_authenticated else None,
        name=user.get_username() or "anonymous",
        printed=signs_as(user if user.is_authenticated else None),
        via="browser",
        address=request.META.get("REMOTE_ADDR", ""),
        session=session[:8],
        request_id=getattr(request, "request_id", ""),
    )
