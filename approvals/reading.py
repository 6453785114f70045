"""Read a sign-off: its policy, voices and bars, and what it is worth by the roles that people hold now."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser

from monitoring.audit import Subject

from . import people, rules
from .models import SignOff
from .policy import Policy
from .rules import Standing
from .voices import Voice


def standing(sign_off: SignOff, *, now: datetime) -> Standing:
    """Return what a sign-off is worth now, by the roles that people hold now."""
    voices = voices_of(sign_off)
    known = people.members(sign_off.component)
    ids = {member.user_id for member in known}
    gone = [people.member(user_id, sign_off.component) for user_id in {voice.user_id for voice in voices} - ids]
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


def voices_of(sign_off: SignOff) -> list[Voice]:
    """Return the decisions of a sign-off in the order in which they were recorded."""
    return [
        Voice(
            user_id=decision.user_id,
            name=decision.printed_name,
            roles=frozenset(decision.roles),
            kind=decision.kind,
            duty=decision.duty,
            digest=decision.digest,
            at=decision.at,
        )
        for decision in sign_off.decisions.order_by("seq")
    ]


def may_decide(sign_off: SignOff, user: AbstractUser, *, kind: str, duty: str) -> tuple[bool, str]:
    """Say whether a user may approve (in a duty), reject or revoke now, and if not, why; for the page."""
    member = people.member(user.pk, sign_off.component)
    if member is None:
        return False, "this account no longer exists"
    return rules.may_decide(
        policy_of(sign_off),
        member,
        kind=kind,
        duty=duty,
        voices=voices_of(sign_off),
        digest=sign_off.digest,
        barred=barred_of(sign_off),
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
