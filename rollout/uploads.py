"""Keeps the directories in the name of an uploaded file visible, so that evidence refuses it instead of guessing."""

import html
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.datastructures import MultiValueDict

# Django cuts `../../x.zip` down to `x.zip` before any view sees it. Signs that no file system obeys keep the name
# whole: the check of names (rollout.evidence) then refuses it, and its sentence shows what came.
SHOWN = str.maketrans({"/": "∕", "\\": "∖"})


class NamesWhole(MultiPartParser):
    """Django's parser, but a directory in a file name is not silently taken away."""

    def sanitize_file_name(self, file_name: str) -> str | None:
        """Return the name with its separators shown, not obeyed; None where Django finds no name in it."""
        name: str | None = super().sanitize_file_name(html.unescape(file_name).translate(SHOWN))
        return name


class WholeUploadNames:
    """Lets requests parse what is uploaded with `NamesWhole`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Put the parser on the request; it runs when a form is first read."""

        def parse(META: dict[str, Any], post_data: Any) -> tuple[QueryDict, MultiValueDict[str, Any]]:
            return NamesWhole(META, post_data, request.upload_handlers, request.encoding or "utf-8").parse()

        request.parse_file_upload = parse  # type: ignore[method-assign, assignment]
        return self.get_response(request)
