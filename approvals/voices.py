"""Who speaks: people with the roles they hold now, what they decided, and what keeps them from it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .policy import APPROVER, Policy

APPROVE, REJECT, REVOKE = "APPROVE", "REJECT", "REVOKE"

Barred = Mapping[int, Sequence[str]]  # user id -> the duties that this person had in the release


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One decision as it was recorded; `roles` are those of that time, and are shown, never counted.

    `for_user` is the absent person on whose behalf `user_id` decided; None where he decided for himself.
    """

    user_id: int
    name: str
    roles: frozenset[str]
    kind: str
    duty: str
    digest: str
    at: datetime
    for_user: int | None = None

    @property
    def source(self) -> int:
        """Return the person whose roles this consent is worth."""
        return self.user_id if self.for_user is None else self.for_user

    @property
    def people(self) -> frozenset[int]:
        """Return everybody who is used up by this consent: nobody counts twice."""
        return frozenset({self.user_id, self.source})


@dataclass(frozen=True, kw_only=True)
class Member:
    """A person with the roles held now for the component in question, and the absent people he may decide for now."""

    user_id: int
    name: str
    roles: frozenset[str]
    active: bool = True
    acts_for: frozenset[int] = frozenset()


def duties(policy: Policy, roles: frozenset[str]) -> tuple[str, ...]:
    """Return the duties in which a person with these roles can approve, the rarest first."""
    golden = (policy.golden_group,) if policy.requires_golden else ()
    held = [role for role in (*golden, *(role for role, _ in policy.plus)) if role in roles]
    return (*held, APPROVER) if roles & set(policy.approver_groups) else tuple(held)


def bars(policy: Policy, user_id: int, barred: Barred) -> tuple[str, ...]:
    """Return the duties that keep a person from approving under this policy."""
    return tuple(duty for duty in barred.get(user_id, ()) if duty in policy.barred_duties)


def approvals(voices: Sequence[Voice]) -> dict[int, Voice]:
    """Return the approval that each person gave and that nobody took back, oldest first.

    What a deputy approved, the person whom he stands in for takes back as well.
    """
    live: dict[int, Voice] = {}
    for voice in voices:
        live.pop(voice.user_id, None)
        if voice.kind == APPROVE:
            live[voice.user_id] = voice
        if voice.kind == REVOKE:
            live = {by: given for by, given in live.items() if voice.user_id not in given.people}
    return live


def spoken_for(voices: Sequence[Voice]) -> dict[int, Voice]:
    """Return person -> the approval that uses him up: his own, or one that a deputy gave on his behalf."""
    return {person: given for given in approvals(voices).values() for person in given.people}


def is_free(policy: Policy, member: Member, barred: Barred) -> bool:
    """Say whether a person is active, holds a role that is asked and is not barred."""
    asked = set(policy.asked_roles())
    return member.active and bool(member.roles & asked) and not bars(policy, member.user_id, barred)
