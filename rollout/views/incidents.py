"""Asks, before the pages of an incident act, whether the person's roles count for its component.

Monitoring knows no people; the table of routes knows only groups. A person whose roles are limited to some components
answers only incidents of those, and reads only their attachments; the page itself is open to every reader.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path

from approvals import people
from monitoring import views
from monitoring.models import Attachment, Incident
from rollout import access

View = Callable[..., HttpResponseBase]


def patterns() -> list[Any]:
    """Return the addresses that stand before those of monitoring, under the same names."""
    verbs = ("note", "acknowledge", "severity", "close")
    acting = [
        path(
            f"incidents/<int:pk>/{verb}/",
            limited(getattr(views, f"incident_{verb}"), access.RESPONDERS),
            name=f"incident_{verb}",
        )
        for verb in verbs
    ]
    return [
        *acting,
        path("incidents/<int:pk>/", limited(views.incident, None), name="incident"),
        path("attachments/<int:pk>/", limited(views.attachment, access.READERS), name="attachment"),
    ]


def limited(view: View, needed: frozenset[str] | None) -> View:
    """Return the view, open to those whose roles for the incident's component are among the needed ones (None: all)."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int) -> HttpResponseBase:
        component = _component(request, pk)
        roles = roles_for(request, component)
        request.roles_here = roles  # type: ignore[attr-defined]  # by these, monitoring shows its forms
        if needed is not None and not roles & needed:
            place = f"for {component}" if component else "for everything"
            raise PermissionDenied(f"This incident is for {' or '.join(sorted(needed))} {place}.")
        return view(request, pk)

    return guarded


def roles_for(request: HttpRequest, component: str) -> frozenset[str]:
    """Return the roles of the user that count for a component; for an incident about none, those of his groups."""
    user: Any = request.user
    return people.current_roles(user, component) if component else access.groups_of(request)


def _component(request: HttpRequest, pk: int) -> str:
    """Return the component of the incident or of the attachment's incident; empty when there is none, or no row."""
    if request.resolver_match is not None and request.resolver_match.view_name == "attachment":
        found = Attachment.objects.filter(pk=pk).values_list("incident__component", flat=True).first()
    else:
        found = Incident.objects.filter(pk=pk).values_list("component", flat=True).first()
    return found or ""
