"""The key that every form carries, so that a double click, a reload or a retry does nothing twice."""

import hashlib
import json
from contextlib import AbstractContextManager
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils import timezone

from rollout import keyless, once
from rollout.once import Answer, Asked, OtherBodyError
from rollout.views.refusals import lacking, refused

# what a key stands for is everything else: the token is another one in every rendering, a password is kept nowhere
APART = ("csrfmiddlewaretoken", once.FIELD)


def asked_of(request: HttpRequest) -> Asked | None:
    """Return what a form asks for under its key; None for a request without one."""
    if request.method != "POST" or not request.user.is_authenticated or request.user.pk is None:
        return None
    key = request.POST.get(once.FIELD, "")
    if not once.KEY.fullmatch(key):
        return None
    route = f"{request.method} {request.path}"[:120]
    return Asked(owner_id=request.user.pk, route=route, key=key, body_sha256=_sha256(request))


def claim(request: HttpRequest, to: object = "", *args: object) -> AbstractContextManager[Answer]:
    """Do the work of the block once for the form's key; asked again, the reader is led `to` where redirect() would."""
    text = resolve_url(to, *args) if to else ""  # type: ignore[arg-type]
    return once.claim(getattr(request, "asked", None), now=timezone.now(), text=text)


def refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the 400 page for a form that came without its key; None when it has one, or needs none."""
    match = request.resolver_match
    if request.method != "POST" or request.asked is not None:  # type: ignore[attr-defined]
        return None
    return None if keyless.may_lack_key(match.view_name if match else "") else lacking(request)


def already(request: HttpRequest) -> HttpResponse | None:
    """Return where the first request with this key led; None when there was none."""
    asked: Asked | None = getattr(request, "asked", None)
    try:
        answer = once.answer_to(asked) if asked else None
    except OtherBodyError as error:
        return refused(request, str(error))
    if answer is None:
        return None
    messages.info(request, "This was done already; nothing was done twice.")
    return redirect(answer.text)


def _sha256(request: HttpRequest) -> str:
    fields = sorted(
        (name, values) for name, values in request.POST.lists() if name not in APART and "password" not in name
    )
    files = sorted((name, str(one.name), _digest(one)) for name, found in request.FILES.lists() for one in found)
    return hashlib.sha256(json.dumps([fields, files]).encode()).hexdigest()


def _digest(file: "UploadedFile[Any]") -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
