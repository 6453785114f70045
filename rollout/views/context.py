"""What every page's frame shows: roles, what waits for the user, open incidents."""

from typing import Any

from django.http import HttpRequest

from monitoring.models import Incident
from rollout import access


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the frame's variables; nothing for somebody who is not signed in."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {"roles": [], "inbox_count": 0, "open_incidents": 0}
    return {
        "roles": sorted(access.groups_of(request)),
        "open_incidents": Incident.objects.exclude(state=Incident.State.CLOSED).count(),
    }
