"""Who is asking, as the audit names him, for requests that this room serves itself."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import lazy

from monitoring.audit import Actor, Subject

from .people import printed_name

str_later = lazy(printed_name, str)


def actor_of(request: HttpRequest | None, user: Any = None, name: str = "") -> Actor:
    """Return the actor of a request; `user` is who he is now, where the request does not know it yet."""
    known = user if user is not None and user.is_authenticated else None
    meta = request.META if request is not None else {}
    session = getattr(request, "session", None)
    return Actor(
        id=known.pk if known else None,
        printed=signs_as(known),
        name=name or (known.get_username() if known else "anonymous"),
        via="browser" if request is not None else "shell",
        address=meta.get("REMOTE_ADDR", ""),
        session=(session.session_key or "")[:8] if session is not None else "",
        request_id=getattr(request, "request_id", ""),
    )


def signs_as(user: Any) -> str:
    """Return how a user signs, read when an entry is written and not before: most requests write none."""
    return str_later(user) if user is not None else ""


def about(user: Any) -> Subject:
    """Return a user as the subject of an audit entry; by number: a name may be erased, the chain not."""
    return Subject(kind="user", id=str(user.pk), label=f"user {user.pk}")
