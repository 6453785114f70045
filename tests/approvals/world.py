"""A small world for the tests of the approvals room: a clock, a manifest, and doors that people come through."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from approvals import ledger
from approvals.models import Decision, SignOff
from approvals.rules import Member, Policy, Standing, Voice, standing
from monitoring.audit import Actor, Subject

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MANIFEST = '{"release":"1.1.0"}'
DIGEST = hashlib.sha256(MANIFEST.encode()).hexdigest()
ROLLOUT = Subject(
    kind="rollout", id="7", label="dhash 1.1.0 to production", component="dhash", environment="production"
)


def actor(user: User, via: str = "browser") -> Actor:
    """Return the user as the audit names him."""
    return Actor(id=user.pk, name=user.get_username(), via=via)  # type: ignore[arg-type]


def opened(by: User, **changed: Any) -> SignOff:
    """Open a sign-off over MANIFEST with the default policy."""
    values: dict[str, Any] = {
        "digest": DIGEST,
        "manifest": MANIFEST,
        "policy": Policy(),
        "subject": ROLLOUT,
        "barred": {by.pk: ["requester"]},
        "unmatched_authors": [],
        "by": actor(by),
        "now": NOW,
    }
    return ledger.open(**{**values, **changed})


def decide(sign_off: SignOff, user: User, duty: str = "", kind: str = "APPROVE", **changed: Any) -> Decision:
    """Record a decision of a freshly authenticated person who saw the page."""
    values: dict[str, Any] = {
        "user": user,
        "kind": kind,
        "duty": duty,
        "digest_seen": sign_off.digest,
        "reason": "seen in staging",
        "authenticated_at": changed.get("now", NOW),
        "by": actor(user),
        "diff_opened": True,
        "now": NOW,
    }
    return ledger.record(sign_off, **{**values, **changed})


def member(number: int, *roles: str, active: bool = True) -> Member:
    """Return a person by number."""
    return Member(user_id=number, name=f"person {number}", roles=frozenset(roles), active=active)


def voice(number: int, duty: str = "", kind: str = "APPROVE", digest: str = DIGEST, at: datetime = NOW) -> Voice:
    """Return what a person by number said."""
    return Voice(user_id=number, name=f"person {number}", roles=frozenset(), kind=kind, duty=duty, digest=digest, at=at)


def judge(policy: Policy, voices: list[Voice], members: list[Member], **changed: Any) -> Standing:
    """Judge voices an hour after the sign-off was opened."""
    values: dict[str, Any] = {
        "digest": DIGEST,
        "barred": {},
        "opened_at": NOW,
        "expires_at": NOW + DAY,
        "now": NOW + timedelta(hours=1),
    }
    return standing(policy, voices, members, **{**values, **changed})
