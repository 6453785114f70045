"""The sign-off panel: seats, decisions, who can still unblock it, why each other cannot, what this user may do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from approvals import rules
from approvals.models import Decision, SignOff
from approvals.policy import Policy
from approvals.reading import barred_of, policy_of
from approvals.rules import Member, Standing, Voice
from rollout.views import words

DUTY_WORDS = {
    "approver": "approver: I reviewed the change",
    "deploy-operator": "deploy operator: it can be deployed and rolled back",
    "media-eng": "media engineering: the golden set holds",
}


@dataclass(frozen=True, kw_only=True)
class SeatLine:
    """One line of the panel: a seat, or a decision that fills none; `counts` False says that it does not count."""

    role: str
    person: str = ""
    decision: str = ""
    reason: str = ""
    at: datetime | None = None
    counts: bool = True
    diff_opened: bool = False


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """A person who cannot help, and why."""

    person: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Everything the sign-off panel shows."""

    sign_off: SignOff
    lines: tuple[SeatLine, ...]
    standing: Standing
    policy: str
    unblockers: tuple[str, ...]
    blocked: tuple[Blocked, ...]
    starters: tuple[str, ...]
    duties: tuple[tuple[str, str], ...]
    may_reject: bool
    may_revoke: bool
    may_start: bool
    why_not_start: str
    why_not: str
    unmatched: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Say whether decisions can still be recorded."""
        return self.sign_off.state in SignOff.LIVE


def panel(
    sign_off: SignOff, decisions: Sequence[Decision], members: Sequence[Member], user_id: int, now: datetime
) -> Panel:
    """Shape the panel from rows that were read already; asks nothing of the database."""
    policy, voices = policy_of(sign_off), [_voice(one) for one in decisions]
    stands = _standing(sign_off, policy, voices, members, now)
    mine = next((member for member in members if member.user_id == user_id), None)
    live = sign_off.state in SignOff.LIVE
    can_start, why_not_start = rules.may_start(policy, stands, mine, stands.last_approver) if mine else (False, "")
    return Panel(
        sign_off=sign_off,
        lines=_lines(stands, decisions),
        standing=stands,
        policy=" ".join(words.policy_words(policy)),
        unblockers=tuple(f"{member.name} ({', '.join(seats)})" for member, seats in stands.can_unblock) if live else (),
        blocked=tuple(Blocked(person=member.name, why=why) for member, why in stands.cannot) if live else (),
        starters=tuple(
            member.name for member in members if rules.may_start(policy, stands, member, stands.last_approver)[0]
        ),
        duties=useful_duties(sign_off, policy, voices, members, user_id, now) if live else (),
        may_reject=live and _may(sign_off, policy, mine, voices, "REJECT"),
        may_revoke=live and _may(sign_off, policy, mine, voices, "REVOKE"),
        may_start=can_start,
        why_not_start=why_not_start,
        why_not=_why_not(sign_off, policy, mine, voices, stands) if live else "",
        unmatched=tuple(f"{one.get('name', '')} <{one.get('email', '')}>" for one in sign_off.unmatched_authors),
    )


def useful_duties(
    sign_off: SignOff,
    policy: Policy,
    voices: Sequence[Voice],
    members: Sequence[Member],
    user_id: int,
    now: datetime,
) -> tuple[tuple[str, str], ...]:
    """Return the duties in which this user's approval would fill a missing seat now, with words for the form."""
    mine = next((member for member in members if member.user_id == user_id), None)
    if mine is None:
        return ()
    missing = len(_standing(sign_off, policy, voices, members, now).missing)
    useful = []
    for duty in rules.duties(policy, mine.roles):
        allowed, _ = rules.may_decide(
            policy, mine, kind="APPROVE", duty=duty, voices=voices, digest=sign_off.digest, barred=barred_of(sign_off)
        )
        if allowed:
            mine_too = Voice(
                user_id=user_id,
                name=mine.name,
                roles=mine.roles,
                kind="APPROVE",
                duty=duty,
                digest=sign_off.digest,
                at=now,
            )
            if len(_standing(sign_off, policy, [*voices, mine_too], members, now).missing) < missing:
                useful.append((duty, DUTY_WORDS.get(duty, duty)))
    return tuple(useful)


def _standing(
    sign_off: SignOff, policy: Policy, voices: Sequence[Voice], members: Sequence[Member], now: datetime
) -> Standing:
    return rules.standing(
        policy,
        voices,
        members,
        digest=sign_off.digest,
        barred=barred_of(sign_off),
        opened_at=sign_off.opened_at,
        expires_at=sign_off.expires_at,
        now=now if sign_off.state in SignOff.LIVE else sign_off.opened_at,
    )


def _voice(decision: Decision) -> Voice:
    return Voice(
        user_id=decision.user_id,
        name=decision.printed_name,
        roles=frozenset(decision.roles),
        kind=decision.kind,
        duty=decision.duty,
        digest=decision.digest,
        at=decision.at,
    )


def _lines(stands: Standing, decisions: Sequence[Decision]) -> tuple[SeatLine, ...]:
    """Return a line a seat, then the decisions that fill none: rejections, revocations, approvals too many."""
    newest = {one.user_id: one for one in decisions}
    lines = []
    for seat in stands.seats:
        given = newest.get(seat.filled_by) if seat.filled_by is not None else None
        lines.append(replace(_line(given), role=seat.duty) if given else SeatLine(role=seat.duty))
    seated = {seat.filled_by for seat in stands.seats}
    rest = [one for one in decisions if one.user_id not in seated or one.pk != newest[one.user_id].pk]
    return (*lines, *(replace(_line(one), counts=one.kind != "APPROVE") for one in rest))


def _line(decision: Decision) -> SeatLine:
    return SeatLine(
        role=decision.duty or "—",
        person=decision.printed_name,
        decision=decision.kind,
        reason=decision.reason,
        at=decision.at,
        diff_opened=decision.diff_opened,
    )


def _may(sign_off: SignOff, policy: Policy, mine: Member | None, voices: Sequence[Voice], kind: str) -> bool:
    return mine is not None and _ask(sign_off, policy, mine, voices, kind)[0]


def _why_not(sign_off: SignOff, policy: Policy, mine: Member | None, voices: Sequence[Voice], stands: Standing) -> str:
    """Say why this user cannot approve, in the words of the rules."""
    if mine is None:
        return "You hold no role for this component."
    allowed, why = _ask(sign_off, policy, mine, voices, "APPROVE")
    if allowed:
        return next((reason for member, reason in stands.cannot if member.user_id == mine.user_id), "")
    return why


def _ask(sign_off: SignOff, policy: Policy, mine: Member, voices: Sequence[Voice], kind: str) -> tuple[bool, str]:
    return rules.may_decide(
        policy, mine, kind=kind, duty="", voices=voices, digest=sign_off.digest, barred=barred_of(sign_off)
    )
