"""Whether the reader may close an incident now: that of a break-glass is closed by nobody who had a part in it."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone

from approvals import stepup
from approvals.hindsight import part_in
from approvals.reading import barred_of
from monitoring.models import Incident
from rollout.models import BreakGlass

PROVE = "Closing the incident of a break-glass asks once more who you are, not longer ago than five minutes."


@dataclass(frozen=True, kw_only=True)
class Closing:
    """Why the reader may not close an incident; `prove`: he may as soon as he has proved who he is."""

    why_not: str = ""
    prove: bool = False


def closing(request: HttpRequest, incident: Incident) -> Closing:
    """Say whether this reader may close an incident now; any but a break-glass's is open to every responder."""
    glass = BreakGlass.objects.filter(incident=incident).select_related("sign_off").first()
    if glass is None:
        return Closing()
    part = part_in(request.user.pk or 0, executor=glass.user_id, barred=barred_of(glass.sign_off))
    if part:
        return Closing(why_not=f"You cannot close it: your account {part}. Somebody who had no part in it closes it.")
    if not stepup.is_recent(request, now=timezone.now()):
        return Closing(why_not=PROVE, prove=True)
    return Closing()
