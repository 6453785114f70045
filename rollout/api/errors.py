"""Every error of the API is JSON: {"error": what went wrong, "expected": what would have been right}.

Where somebody was faster, `winner` says who: {"kind", "id", "action", "by", "at"}.
"""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from approvals.ledger import Refused
from monitoring import audit
from rollout.transitions import ConflictError
from rollout.winners import Winner

Handler = Callable[[HttpRequest, Any], HttpResponse]
WORDS = {400: "a request that can be read", 404: "something that exists and that this token may see"}


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, error: str, expected: str = "", winner: Winner | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.expected, self.winner = status, error, expected, winner


def problem(status: int, error: str, expected: str) -> JsonResponse:
    """Return an error that was found before, or after, any route was asked."""
    return JsonResponse({"error": error, "expected": expected}, status=status)


def install(api: NinjaAPI) -> None:
    """Let every exception that a route may raise become the JSON it should be."""

    def answer(status: int, error: str, expected: str = "", winner: Winner | None = None) -> HttpResponse:
        document: dict[str, Any] = {"error": error, "expected": expected or WORDS.get(status, "")}
        if winner is not None:
            document["winner"] = told(winner)
        response = api.create_response(HttpRequest(), document, status=status)
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="guarded-rollout"'
        return response

    handlers: dict[type[Exception], Handler] = {
        ApiError: lambda _, error: answer(error.status, error.error, error.expected, error.winner),
        AuthenticationError: lambda *_: answer(
            401, "there is no valid token in this request", "Authorization: Bearer gr_…, neither expired nor revoked"
        ),
        ValidationError: lambda _, error: answer(422, "a value is missing or malformed", _told(error)),
        HttpError: lambda _, error: answer(error.status_code, str(error)),
        Refused: lambda _, error: answer(409, str(error)),
        ConflictError: lambda _, error: answer(409, str(error), "ask for its state again"),
        PermissionDenied: lambda _, error: answer(403, str(error), "a token whose owner holds that role"),
        Http404: lambda _, error: answer(404, str(error) or "there is no such thing"),
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def told(winner: Winner) -> dict[str, Any]:
    """Return who was faster, as JSON has it."""
    at = audit.stamp(winner.at)
    return {"kind": winner.kind, "id": winner.id, "action": winner.action, "by": winner.by, "at": at}


def _told(error: ValidationError) -> str:
    """Return what pydantic expected, one sentence a value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'][2:] or one['loc'])}: {one['msg']}" for one in error.errors
    )
