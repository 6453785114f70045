"""Who speaks: people with the roles they hold now, what they decided, and what keeps them from it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .policy import APPROVER, Policy

APPROVE, REJECT, REVOKE = "APPROVE", "REJECT", "REVOKE"

Barred = Mapping[int, Sequence[str]]  # user id -> the duties that this person had in the release


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One decision as it was recorded; `roles` are those of that time, and are shown, never counted."""

    user_id: int
    name: str
    roles: frozenset[str]
    kind: str
    duty: str
    digest: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Member:
    """A person with the roles held now for the component in question."""

    user_id: int
    name: str
    roles: frozenset[str]
    active: bool = True


def duties(policy: Policy, roles: frozenset[str]) -> tuple[str, ...]:
    """Return the duties in which a person with these roles can approve, the rarest first."""
    golden = (policy.golden_group,) if policy.requires_golden else ()
    held = [role for role in (*golden, *(role for role, _ in policy.plus)) if role in roles]
    return (*held, APPROVER) if roles & set(policy.approver_groups) else tuple(held)


def bars(policy: Policy, user_id: int, barred: Barred) -> tuple[str, ...]:
    """Return the duties that keep a person from approving under this policy."""
    return tuple(duty for duty in barred.get(user_id, ()) if duty in policy.barred_duties)


def approvals(voices: Sequence[Voice]) -> dict[int, Voice]:
    """Return the approval of each person that was not revoked, oldest first."""
    live: dict[int, Voice] = {}
    for voice in voices:
        live.pop(voice.user_id, None)
        if voice.kind == APPROVE:
            live[voice.user_id] = voice
    return live


def is_free(policy: Policy, member: Member, barred: Barred) -> bool:
    """Say whether a person is active, holds a role that is asked and is not barred."""
    asked = set(policy.asked_roles())
    return member.active and bool(member.roles & asked) and not bars(policy, member.user_id, barred)
