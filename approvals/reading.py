"""Read a sign-off: its policy, voices and bars, and what it is worth by the roles that people hold now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from monitoring.audit import Subject

from . import people, rules
from .models import Decision, SignOff
from .policy import Policy
from .rules import Standing
from .voices import Barred, Voice


def standing(sign_off: SignOff, *, now: datetime, decisions: Iterable[Decision] | None = None) -> Standing:
    """Return what a sign-off is worth now, by these decisions (or those that stand) and the roles that people hold."""
    voices = voices_of(sign_off, decisions)
    known = people.members(sign_off.component, now=now)
    ids = {member.user_id for member in known}
    heard = {person for voice in voices for person in voice.people}
    gone = [people.member(user_id, sign_off.component, now=now) for user_id in heard - ids]
    return rules.standing(
        policy_of(sign_off),
        voices,
        [*known, *(member for member in gone if member)],
        digest=sign_off.digest,
        barred=barred_of(sign_off),
        opened_at=sign_off.opened_at,
        expires_at=sign_off.expires_at,
        now=now,
    )


def policy_of(sign_off: SignOff) -> Policy:
    """Return the policy as it was when the sign-off was opened."""
    return Policy.from_dict(sign_off.policy)


def barred_of(sign_off: SignOff) -> dict[int, tuple[str, ...]]:
    """Return user id -> duties that bar this person."""
    return {int(user_id): tuple(duties) for user_id, duties in sign_off.barred.items()}


def voices_of(sign_off: SignOff, decisions: Iterable[Decision] | None = None) -> list[Voice]:
    """Return what the rules hear of a sign-off's decisions (these, or those that stand), in the order of recording."""
    heard = sign_off.decisions.order_by("seq") if decisions is None else decisions
    return [voice_of(decision) for decision in heard if decision.kind in Decision.VOICES]


def voice_of(decision: Decision) -> Voice:
    """Return a decision as the rules hear it."""
    return Voice(
        user_id=decision.user_id,
        name=decision.printed_name,
        roles=frozenset(decision.roles),
        kind=decision.kind,
        duty=decision.duty,
        digest=decision.digest,
        at=decision.at,
        for_user=decision.on_behalf_of_id,
    )


def may_open(
    component: str,
    *,
    policy: Policy,
    barred: Barred,
    unmatched_authors: Sequence[Mapping[str, str]],
    now: datetime,
) -> tuple[bool, str]:
    """Say whether a sign-off could be opened, and completed and started, by the people who hold roles now."""
    unmatched = [author_text(author) for author in unmatched_authors]
    return rules.may_open(policy, people.members(component, now=now), barred=barred, unmatched=unmatched)


def author_text(author: Mapping[str, str]) -> str:
    """Return a commit author as git prints one."""
    return f"{author.get('name', '')} <{author['email']}>".strip() if author.get("email") else author.get("name", "")


def may_decide(
    sign_off: SignOff, user: AbstractUser, *, kind: str, duty: str, now: datetime, on_behalf_of: int | None = None
) -> tuple[bool, str]:
    """Say whether a user may approve (in a duty, for an absent person), reject or revoke now, and if not, why."""
    member = people.member(user.pk, sign_off.component, now=now)
    absent = None if on_behalf_of is None else people.member(on_behalf_of, sign_off.component, now=now)
    if member is None or (on_behalf_of is not None and absent is None):
        return False, "this account no longer exists"
    return rules.may_decide(
        policy_of(sign_off),
        member,
        kind=kind,
        duty=duty,
        voices=voices_of(sign_off),
        digest=sign_off.digest,
        barred=barred_of(sign_off),
        absent=absent,
    )


def subject_of(sign_off: SignOff) -> Subject:
    """Return what the sign-off is about."""
    return Subject(
        kind=sign_off.subject_kind,
        id=sign_off.subject_id,
        label=sign_off.subject_label,
        component=sign_off.component,
        environment=sign_off.environment,
    )
