"""What every page's frame shows: the name that signatures print, roles, what waits for the user, open incidents."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from approvals import people
from monitoring.models import Incident
from rollout import access, places
from rollout.views import needs


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the frame's variables; nothing for somebody who is not signed in.

    What costs a query is asked when a template names it: the polled parts of a page have no frame.
    """
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {"roles": [], "inbox_count": 0, "open_incidents": 0}
    return {
        "signed_in_as": SimpleLazyObject(lambda: people.printed_name(request.user)),
        "roles": SimpleLazyObject(lambda: sorted(access.groups_of(request))),
        "inbox_count": SimpleLazyObject(lambda: len(needs.asked_once(request))),
        "held_up": SimpleLazyObject(places.refusal),
        "open_incidents": SimpleLazyObject(
            access.known(request.user, Incident.objects.exclude(state=Incident.State.CLOSED)).count
        ),
    }
