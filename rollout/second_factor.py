"""The layer that asks everybody for a second factor, where an installation wants one of everybody."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from approvals import factors
from rollout import access

# what somebody has to reach who must set one up before anything else
SETTING_UP = frozenset({"confirm", "password", "app_add", "passkey_add", "recovery_codes", "security", "logout"})
Next = Callable[[HttpRequest], HttpResponse]


class SecondFactor:
    """Leads whoever has no second factor to where he sets one up, where the installation asks everybody for one."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; `process_view` decides."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: list[object], kwargs: dict[str, object]
    ) -> HttpResponse | None:
        """Redirect before any role or object is looked at, so that the answer tells of none."""
        if not settings.GR_REQUIRE_SECOND_FACTOR or request.user.pk is None:
            return None
        route = (request.resolver_match and request.resolver_match.view_name) or ""
        row = access.row_of(route)
        if row is None or row.roles is access.ANYONE or route in SETTING_UP or factors.has_one(request.user.pk):
            return None
        return redirect("security")
