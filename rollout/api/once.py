"""Idempotency-Key: same key and same body, same answer; another body is 409; nothing is done twice."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from rollout.api.auth import token_of, who
from rollout.api.errors import ApiError
from rollout.models import Idempotency

KEY = re.compile(r"[\x21-\x7e]{1,100}")
Work = Callable[[], tuple[int, dict[str, Any]]]


def once(request: HttpRequest, work: Work) -> HttpResponse:
    """Do `work`, which returns status and document, at most once for an Idempotency-Key; without one, do it.

    The key is taken and the answer kept in the transaction of the work: a refusal leaves the key free.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return respond(*work())
    if not KEY.fullmatch(key):
        raise ApiError(400, "the Idempotency-Key cannot be read", "1 to 100 visible ASCII letters without spaces")
    body = hashlib.sha256(request.body).hexdigest()
    mine = {"owner": token_of(request).owner, "route": f"{request.method} {request.path}"[:120], "key": key}
    answered = Idempotency.objects.filter(**mine).first()
    if answered is None:
        try:
            return _first(mine, body, work, request)
        except IntegrityError:
            answered = Idempotency.objects.filter(**mine).first()
            if answered is None:
                raise
    if answered.body_sha256 != body:
        raise ApiError(409, "this Idempotency-Key was used with another body", "a new key for a new request")
    return respond(answered.status, json.loads(answered.response))


def respond(status: int, document: dict[str, Any]) -> HttpResponse:
    """Return a JSON answer."""
    return HttpResponse(json.dumps(document), status=status, content_type="application/json")


def _first(mine: dict[str, Any], body: str, work: Work, request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        row = Idempotency.objects.create(**mine, body_sha256=body, status=0, response="", at=who(request)["now"])
        status, document = work()
        Idempotency.objects.filter(pk=row.pk).update(status=status, response=json.dumps(document))
    return respond(status, document)
