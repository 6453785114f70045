"""Gathers what the page of an incident shows."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from . import incident_text, incidents
from .incident_text import Told
from .models import AuditEntry, Incident, Notice

NOTICES_MAX = 60
# as incidents.attach writes it
ATTACHED = re.compile(r"(?P<title>Attached .+ \(\d+ bytes), sha256 (?P<sha256>[0-9a-f]{64})\)")


def facts_of(incident: Incident, *, now: datetime) -> dict[str, Any]:
    """Return the context of an incident's page."""
    entries = list(incident.entries.all())
    url = f"{settings.GR_BASE_URL}{reverse('incident', args=[incident.pk])}"
    told = Told(
        number=incident.pk,
        severity=incident.severity,
        title=incident.title,
        summary=incident.summary,
        about=incident.subject_label,
        component=incident.component,
        environment=incident.environment,
        opened_at=incident.opened_at,
        lead=incident.acknowledged_by,
        state=incident.get_state_display(),
        last=_last(entry.text for entry in entries),
        url=url,
    )
    return {
        "incident": incident,
        "entries": [_line(entry) for entry in entries],
        "attachments": list(incident.attachments.all()),
        "notices": _notices(incident),
        "is_open": incident.state == Incident.State.OPEN,
        "is_closed": incident.state == Incident.State.CLOSED,
        "late": incident.state == Incident.State.OPEN and incident.respond_by is not None and incident.respond_by < now,
        "rollout_url": _rollout_url(incident),
        "runbook_url": _runbook_url(incident),
        "declaration": incident_text.declaration(told, now),
        "status_update": incident_text.status_update(told, now),
        "proof": _proof(incident),
    }


def _last(texts: Iterable[str]) -> str:
    """Return the newest line that somebody may be told: what was attached says nothing to him."""
    return ([text for text in texts if not text.startswith("Attached ")] or [""])[-1]


def _line(entry: Any) -> dict[str, Any]:
    """Return one line of the timeline: the first sentence as its title, the rest as text."""
    title, _, rest = entry.text.partition("\n")
    kept = ATTACHED.fullmatch(title)
    return {
        "at": entry.at,
        "who": "by itself" if entry.by_name == "system" else entry.by_name,
        "title": f"{kept['title']})" if kept else title,
        "sha256": kept["sha256"] if kept else "",
        "text": rest.strip(),
        "icon": _icon(title),
    }


def _icon(title: str) -> str:
    marks = {
        "Opened": "siren",
        "Acknowledged": "eye",
        "Closed": "square-check-big",
        "Severity": "chevrons-up",
        "Attached": "paperclip",
        "Rollback": "rotate-ccw",
    }
    return marks.get(title.split(" ")[0].rstrip(":"), "message-square")


def _notices(incident: Incident) -> list[Notice]:
    """Return what was told of the incident, and of its subject from then on, with every attempt."""
    own = Q(subject_kind="incident", subject_id=str(incident.pk))
    about = Q(subject_kind=incident.subject_kind, subject_id=incident.subject_id, created_at__gte=incident.opened_at)
    return list(Notice.objects.filter(own | about).prefetch_related("attempt_set").order_by("pk")[:NOTICES_MAX])


def _rollout_url(incident: Incident) -> str:
    known = incident.subject_kind == "rollout" and incident.subject_id.isdecimal()
    return reverse("rollout", args=[int(incident.subject_id)]) if known else ""


def _runbook_url(incident: Incident) -> str:
    if not (incident.runbook and incident.component):
        return ""
    page = reverse("runbook", args=[incident.component, incident.runbook])
    return f"{page}?rollout={incident.subject_id}" if incident.subject_kind == "rollout" else page


def _proof(incident: Incident) -> list[AuditEntry]:
    about = incidents.subject_of(incident)
    return list(AuditEntry.objects.filter(subject_kind=about.kind, subject_id=about.id)[:50])
