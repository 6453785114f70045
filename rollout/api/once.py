"""Idempotency-Key: same key and same body, same answer; another body is 409; nothing is done twice."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from rollout import once as keys
from rollout import undone
from rollout.api.auth import token_of, who
from rollout.api.errors import ApiError

KEY = re.compile(r"[\x21-\x7e]{1,100}")
Work = Callable[[], tuple[int, dict[str, Any]]]


def once(request: HttpRequest, work: Work, body: str | None = None) -> HttpResponse:
    """Do `work`, which returns status and document, at most once for an Idempotency-Key; without one, do it.

    `body` stands for what was sent, where that was read already.
    """
    asked = _asked(request, body)
    return _answered(asked) or _do(request, asked, work)


def is_known(request: HttpRequest) -> bool:
    """Say whether the key of this request was answered before."""
    asked = _asked(request, "")
    return asked is not None and keys.is_known(asked)


def again(request: HttpRequest, body: str) -> HttpResponse:
    """Return the answer that the first request with this key got."""
    first = _answered(_asked(request, body))
    if first is None:
        raise ApiError(409, "the answer to this Idempotency-Key was just removed", "a new key")
    return first


def respond(status: int, document: dict[str, Any]) -> HttpResponse:
    """Return a JSON answer."""
    return HttpResponse(json.dumps(document), status=status, content_type="application/json")


def _asked(request: HttpRequest, body: str | None) -> keys.Asked | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise ApiError(400, "the Idempotency-Key cannot be read", "1 to 100 visible ASCII letters without spaces")
    digest = hashlib.sha256(request.body if body is None else body.encode()).hexdigest()
    route = f"{request.method} {request.path}"[:120]
    return keys.Asked(owner_id=token_of(request).owner.pk, route=route, key=key, body_sha256=digest)


def _answered(asked: keys.Asked | None) -> HttpResponse | None:
    try:
        first = keys.answer_to(asked) if asked else None
    except keys.OtherBodyError:
        raise ApiError(409, "this Idempotency-Key was used with another body", "a new key for a new request")
    return respond(first.status, json.loads(first.text)) if first else None


def _do(request: HttpRequest, asked: keys.Asked | None, work: Work) -> HttpResponse:
    """Do the work in one transaction with its key; when another request took the key meanwhile, answer as that did."""

    def claimed() -> tuple[int, dict[str, Any]]:
        with keys.claim(asked, now=who(request)["now"]) as answer:
            answer.status, document = work()
            answer.text = json.dumps(document)
        return answer.status, document

    try:
        status, document = undone.again(claimed)
    except (keys.AnsweredError, ApiError):
        # a refusal of ours may be the doing of our own twin
        if twin := _answered(asked):
            return twin
        raise
    return respond(status, document)
