"""Changes the span of a freeze: longer at once, shorter when a second admin asks for the same span."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from approvals import roles
from approvals.change_rules import Asker
from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import Subject
from monitoring.models import AuditEntry
from rollout.models import Freeze

ADDED, CHANGED, ASKED = "freeze.added", "freeze.changed", "freeze.shortening_asked"


@dataclass(frozen=True, kw_only=True)
class Span:
    """From when to when nothing is started."""

    starts_at: datetime
    ends_at: datetime

    def told(self) -> dict[str, str]:
        """Return it as the audit tells it."""
        return {"from": audit.stamp(self.starts_at), "to": audit.stamp(self.ends_at)}

    def holds(self, other: "Span") -> bool:
        """Say whether no moment of the other lies outside of this one."""
        return self.starts_at <= other.starts_at and other.ends_at <= self.ends_at


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one admin asked for, and waits for another."""

    user: User
    at: datetime
    was: dict[str, str]
    span: dict[str, str]


def span_of(freeze: Freeze) -> Span:
    """Return the span of a freeze."""
    return Span(starts_at=freeze.starts_at, ends_at=freeze.ends_at)


def about(freeze: Freeze) -> Subject:
    """Return how the audit names a freeze."""
    place = freeze.environment.name if freeze.environment else ""
    return Subject(
        kind="freeze", id=str(freeze.pk), label=str(freeze), component=freeze.component.name, environment=place
    )


def add(freeze: Freeze, *, asker: Asker) -> None:
    """Keep a new freeze under the name of who asks; raise Refused without a recent proof."""
    with audit.turn():
        asker.proved_at()
        freeze.by = asker.user
        freeze.save()
        _tell(ADDED, freeze, span_of(freeze).told(), why=freeze.reason, asker=asker)


def change(freeze: Freeze, span: Span, *, why: str, asker: Asker) -> bool:
    """Change the span, audited from → to; return False where it waits for a second admin; raise Refused.

    Reason, author and place stay: they are what those were told whom it kept waiting.
    """
    with audit.turn():
        asker.proved_at()
        standing = Freeze.objects.select_related("component", "environment").get(pk=freeze.pk)
        was = span_of(standing)
        if was.ends_at <= asker.now:
            raise Refused("This freeze is over: what it kept from starting it kept. Add another one.")
        if span == was:
            raise Refused("This is the span that stands.")
        facts: dict[str, Any] = {"was": was.told(), "span": span.told()}
        asked = ask_of(standing, now=asker.now)
        if not span.holds(was):
            if asked is None or asked.user.pk == asker.user.pk or asked.span != facts["span"]:
                _tell(ASKED, standing, facts, why=why, asker=asker)
                return False
            facts |= {"asked_by": asked.user.pk}
        Freeze.objects.filter(pk=standing.pk).update(starts_at=span.starts_at, ends_at=span.ends_at)
        _tell(CHANGED, standing, facts, why=why, asker=asker)
    return True


def ask_of(freeze: Freeze, *, now: datetime) -> Ask | None:
    """Return the shorter span that an admin asked for, while it waits: as long as any change, by who is admin still.

    The newest entry about the freeze tells it: what changed the span since has answered it.
    """
    newest = AuditEntry.objects.filter(subject_kind="freeze", subject_id=str(freeze.pk)).order_by("-seq").first()
    if newest is None or newest.action != ASKED or newest.at is None:
        return None
    if now - newest.at > timedelta(seconds=settings.GR_CHANGE_SECONDS):
        return None
    user = User.objects.filter(pk=newest.actor_id or 0).first()
    data = json.loads(newest.body)["data"]
    if user is None or not roles.changes_people(user) or data["was"] != span_of(freeze).told():
        return None
    return Ask(user=user, at=newest.at, was=data["was"], span=data["span"])


def _tell(action: str, freeze: Freeze, data: dict[str, Any], *, why: str, asker: Asker) -> None:
    audit.append(action=action, by=asker.by, subject=about(freeze), why=why, data=data, now=asker.now)
