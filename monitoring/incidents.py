"""The verbs of incidents: open, note, attach, acknowledge, change severity, close; all audited."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser

from . import audit, notices, redact, storage, unseen
from .audit import Actor, Subject
from .models import Attachment, Incident, IncidentEntry
from .notices import Severity
from .routes import Route

RESPOND_WITHIN = {"P0": timedelta(0), "P1": timedelta(hours=1), "P2": timedelta(hours=4)}
LOUDNESS: dict[str, Severity] = {"P0": "critical", "P1": "critical", "P2": "warning"}
ATTACHMENT_LIMIT = 256 * 1024 * 1024
UNCLOSED = (Incident.State.OPEN, Incident.State.ACKNOWLEDGED)


class Conflict(Exception):
    """Somebody else was faster; the message says what stands now."""


def open(
    *,
    subject: Subject,
    severity: str,
    title: str,
    summary: str,
    runbook: str,
    by: Actor,
    routes: Sequence[Route],
    url: str,
    now: datetime,
) -> Incident:
    """Open an incident about `subject`, tell it, and return it. Severity P0, P1 or P2; else ValueError."""
    _known(severity)
    with audit.turn():
        incident = Incident.objects.create(
            severity=severity,
            title=title[:200],
            summary=summary,
            runbook=runbook,
            opened_at=now,
            respond_by=now + RESPOND_WITHIN[severity],
            routes=[asdict(route) for route in routes],
            url=url[:300],
            **subject.columns(),
        )
        _entry(incident, by.name, f"Opened as {severity}: {title}", now)
        _tell("incident_opened", incident, by=by, why=summary, now=now)
        data = {"severity": severity, "title": incident.title, "runbook": runbook, **_about(incident)}
        _audit("incident.opened", incident, by=by, why=summary, new=Incident.State.OPEN, data=data, now=now)
    return incident


def note(
    incident: Incident, *, text: str, by: Actor, user: AbstractBaseUser | None = None, now: datetime
) -> IncidentEntry:
    """Add a line to the timeline and return it; raises ValueError on an empty one."""
    if not unseen.seen_length(text):
        raise ValueError("a note needs a text")
    with audit.turn():
        entry = _entry(incident, by.name, text, now, user)
        _audit("incident.noted", incident, by=by, why=text, data={"entry": entry.pk}, now=now)
    return entry


def attach(
    incident: Incident, *, name: str, path: Path | None = None, data: bytes | None = None, by: Actor, now: datetime
) -> Attachment:
    """Keep a file with the incident, from a path or from bytes; durable before its row is written.

    Raises ValueError on neither or both, storage.EmptyError and storage.TooLargeError (256 MiB).
    """
    if (path is None) == (data is None):
        raise ValueError("attach takes either a path or data")
    kept = storage.put(attachment_root(), _chunks(path, data), limit=ATTACHMENT_LIMIT)
    with audit.turn():
        attachment = Attachment.objects.create(
            incident=incident, name=Path(name).name[:200], sha256=kept.sha256, size=kept.size, at=now, by_name=by.name
        )
        _entry(incident, by.name, f"Attached {attachment.name} ({kept.size} bytes, sha256 {kept.sha256})", now)
        told = {"name": attachment.name, "sha256": kept.sha256, "size": kept.size}
        _audit("incident.attached", incident, by=by, data=told, now=now)
    return attachment


def acknowledge(incident: Incident, *, by: Actor, now: datetime) -> Incident:
    """Take an open incident in hand; raises Conflict when it is not open any more."""
    values = {"state": Incident.State.ACKNOWLEDGED, "acknowledged_at": now, "acknowledged_by": by.name}
    _move(incident, values, allowed=(Incident.State.OPEN,), by=by, why="", said="Acknowledged", now=now)
    return incident


def close(incident: Incident, *, resolution: str, by: Actor, now: datetime) -> Incident:
    """Close an incident and return it; raises Conflict when it is closed already, ValueError without a resolution."""
    if not unseen.seen_length(resolution):
        raise ValueError("say in a sentence how the incident was resolved")
    values = {"state": Incident.State.CLOSED, "closed_at": now, "closed_by": by.name, "resolution": resolution}
    with audit.turn():
        _tell("incident_closed", incident, by=by, why=resolution, now=now)
        _move(incident, values, allowed=UNCLOSED, by=by, why=resolution, said=f"Closed: {resolution}", now=now)
    return incident


def change_severity(incident: Incident, *, severity: str, why: str, by: Actor, now: datetime) -> Incident:
    """Give an unclosed incident another severity; the time to respond counts from its opening."""
    _known(severity)
    with audit.turn():
        old = incident.severity
        values = {"severity": severity, "respond_by": incident.opened_at + RESPOND_WITHIN[severity]}
        _swap(incident, values, allowed=UNCLOSED, severity=old)
        _entry(incident, by.name, f"Severity {old} → {severity}: {why}", now)
        _audit("incident.severity_changed", incident, by=by, why=why, old=old, new=severity, now=now)
    return incident


def attachment_root() -> Path:
    """Return the directory that keeps attachments, content-addressed."""
    return Path(settings.GR_VAR) / "attachments"


def _known(severity: str) -> None:
    if severity not in RESPOND_WITHIN:
        raise ValueError(f"{severity!r} is no severity: expected P0, P1 or P2")


def _move(
    incident: Incident,
    values: Mapping[str, Any],
    *,
    allowed: Sequence[str],
    by: Actor,
    why: str,
    said: str,
    now: datetime,
) -> None:
    with audit.turn():
        old = incident.state
        _swap(incident, values, allowed=allowed)
        _entry(incident, by.name, said, now)
        action = f"incident.{str(values['state']).lower()}"
        _audit(action, incident, by=by, why=why, old=old, new=incident.state, now=now)


def _swap(incident: Incident, values: Mapping[str, Any], *, allowed: Sequence[str], **expected: str) -> None:
    if Incident.objects.filter(pk=incident.pk, state__in=allowed, **expected).update(**values) == 1:
        incident.refresh_from_db()
        return
    incident.refresh_from_db()
    raise Conflict(
        f"INC-{incident.pk} is {incident.get_state_display()} with severity {incident.severity}"
        f"{', by ' + incident.closed_by if incident.closed_by else ''}: somebody was faster. Look again."
    )


def _entry(
    incident: Incident, by_name: str, text: str, now: datetime, user: AbstractBaseUser | None = None
) -> IncidentEntry:
    return IncidentEntry.objects.create(
        incident=incident, at=now, by_name=by_name[:150], by_id=user.pk if user else None, text=redact.text(text)
    )


def _audit(action: str, incident: Incident, *, by: Actor, now: datetime, **told: Any) -> None:
    audit.append(action=action, by=by, subject=subject_of(incident), now=now, **told)


def subject_of(incident: Incident) -> Subject:
    """Return the incident itself as a subject."""
    return Subject(
        kind="incident",
        id=str(incident.pk),
        label=str(incident),
        component=incident.component,
        environment=incident.environment,
    )


def _about(incident: Incident) -> dict[str, object]:
    return {"about": {"kind": incident.subject_kind, "id": incident.subject_id, "label": incident.subject_label}}


def _tell(event: str, incident: Incident, *, by: Actor, why: str, now: datetime) -> None:
    context = {"incident": str(incident), "by": by.name, "why": why, "rollout": incident.subject_label}
    notices.queue(
        event,
        subject=subject_of(incident),
        severity=LOUDNESS[incident.severity] if event == "incident_opened" else "info",
        context=context,
        routes=[Route(**{**route, "events": tuple(route["events"])}) for route in incident.routes],
        key=f"{event}:{incident.pk}",
        url=incident.url,
        now=now,
    )


def _chunks(path: Path | None, data: bytes | None) -> Iterable[bytes]:
    if path is None:
        yield data or b""
        return
    with path.open("rb") as source:
        yield from storage.read_chunks(source)
