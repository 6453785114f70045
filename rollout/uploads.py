"""Looks at an upload before any view does: refuses one that is too long, keeps the directories in its name visible."""

import html
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParser
from django.template import loader
from django.utils.datastructures import MultiValueDict

from rollout.api.errors import problem

# Django cuts `../../x.zip` down to `x.zip` before any view sees it. Signs that no file system obeys keep the name
# whole: the check of names (rollout.evidence) then refuses it, and its sentence shows what came.
SHOWN = str.maketrans({"/": "∕", "\\": "∖"})
# A form is longer than its file: other fields, the sidecar, the boundaries.
FORM_BYTES = 1 << 20


class NamesWhole(MultiPartParser):
    """Django's parser, but a directory in a file name is not silently taken away."""

    def sanitize_file_name(self, file_name: str) -> str | None:
        """Return the name with its separators shown, not obeyed; None where Django finds no name in it."""
        name: str | None = super().sanitize_file_name(html.unescape(file_name).translate(SHOWN))
        return name


class WholeUploadNames:
    """Refuses a body that is too long before a byte of it is read, and lets uploads be parsed with `NamesWhole`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Put the parser on the request; it runs when a form is first read."""
        if too_long(request):
            return _refuse(request)

        def parse(META: dict[str, Any], post_data: Any) -> tuple[QueryDict, MultiValueDict[str, Any]]:
            return NamesWhole(META, post_data, request.upload_handlers, request.encoding or "utf-8").parse()

        request.parse_file_upload = parse  # type: ignore[method-assign, assignment]
        return self.get_response(request)


def too_long(request: HttpRequest) -> bool:
    """Say whether the body, by what the request says (and the server reads no further), is longer than any upload."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length.isdigit() and int(length) > settings.GR_UPLOAD_LIMIT + FORM_BYTES


def _refuse(request: HttpRequest) -> HttpResponse:
    sentence = f"at most {settings.GR_UPLOAD_LIMIT} bytes (GR_UPLOAD_LIMIT_BYTES)"
    if request.path.startswith("/api/"):
        return problem(413, f"the body has {request.META['CONTENT_LENGTH']} bytes", sentence)
    return HttpResponse(loader.get_template("413.html").render({"limit": sentence}), status=413)
