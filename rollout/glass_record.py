"""How a break-glass is told, audited and handed out: the same facts everywhere."""

from datetime import datetime
from typing import Any

from monitoring import audit, audit_told
from monitoring.audit import Actor
from monitoring.models import AuditEntry
from monitoring.notices import Severity
from rollout import transitions
from rollout.models import BreakGlass, Rollout


def tell(glass: BreakGlass, event: str, severity: Severity, *, by: Actor, now: datetime, **more: Any) -> None:
    """Queue the notices of a break-glass, on every channel that the component names."""
    words = {"incident": str(glass.incident), "digest": glass.digest, "due": f"{glass.due_at:%Y-%m-%d %H:%M} UTC"}
    transitions.tell(glass.rollout, event, severity, by=by, now=now, everywhere=True, **words, **more)


def note(glass: BreakGlass, what: str, *, by: Actor, why: str, now: datetime, **more: Any) -> None:
    """Append what happened to the audit, with all that tells one break-glass from another."""
    subject = transitions.subject_of(glass.rollout)
    audit.append(action=f"rollout.{what}", by=by, subject=subject, why=why, data={**facts(glass), **more}, now=now)


def is_told(glass: BreakGlass) -> bool:
    """Say whether exactly this break-glass, by this person, is what the audit told when it happened."""
    subject = transitions.subject_of(glass.rollout)
    rows = AuditEntry.objects.filter(action="rollout.glass_broken", subject_kind=subject.kind, subject_id=subject.id)
    entries, wrong = audit_told.told(rows)
    found = [one for one in entries if one["data"].get("glass") == glass.pk]
    mine = len(found) == 1 and found[0]["actor"]["id"] == glass.user_id
    return mine and not wrong and found[0]["data"] == facts(glass)


def facts(glass: BreakGlass) -> dict[str, Any]:
    """Return what never changes of a break-glass."""
    return {
        "glass": glass.pk,
        "digest": glass.digest,
        "sign_off": glass.sign_off_id,
        "decision": glass.decision_id,
        "run": glass.run_id,
        "incident": glass.incident_id,
        "why_now": glass.why_now,
        "why_safe": glass.why_safe,
        "approved": glass.approved,
        "missing": glass.missing,
        "passed": glass.passed,
        "due_at": audit.stamp(glass.due_at),
    }


def documents(rollout: Rollout) -> list[dict[str, Any]]:
    """Return every break-glass of a rollout with its reviews, as JSON holds it; empty for a rollout that had none."""
    return [_document(one) for one in rollout.broken_glass.with_story().order_by("pk")]


def _document(glass: BreakGlass) -> dict[str, Any]:
    reviews = [
        {
            "seq": one.seq,
            "name": one.printed_name,
            "roles": one.roles,
            "verdict": one.verdict,
            "meaning": one.meaning,
            "words": one.words,
            "method": one.method,
            "authenticated_at": audit.stamp(one.authenticated_at),
            "at": audit.stamp(one.at),
        }
        for one in glass.reviews.all()
    ]
    return {
        **facts(glass),
        "name": glass.printed_name,
        "roles": glass.roles,
        "duties": glass.duties,
        "meaning": glass.decision.meaning,
        "method": glass.decision.method,
        "via": glass.via,
        "authenticated_at": audit.stamp(glass.decision.authenticated_at),
        "at": audit.stamp(glass.at),
        "closed_at": audit.stamp(glass.closed_at) if glass.closed_at else None,
        "objected": glass.objected,
        "reviews": reviews,
    }
