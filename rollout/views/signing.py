"""The sign-off panel: seats, decisions, who can still unblock it, why each other cannot, what this user may do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from approvals import people, rules
from approvals.models import Decision, SignOff
from approvals.policy import Policy
from approvals.reading import author_text, barred_of, policy_of, voice_of
from approvals.rules import Member, Standing, Voice
from rollout.views import words

DUTY_WORDS = {
    "approver": "approver: I reviewed the change",
    "deploy-operator": "deploy operator: it can be deployed and rolled back",
    "media-eng": "media engineering: the golden set holds",
}
# between the duty and the absent person's number in the value of a choice
BEHALF = "/"


@dataclass(frozen=True, kw_only=True)
class SeatLine:
    """One line of the panel: a seat, or a decision that fills none; `account` has its user name."""

    role: str
    person: str = ""
    account: str = ""
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
    revoke_helps: bool  # the quorum is impossible only for as long as this reader's approval stands in its duty

    @property
    def is_open(self) -> bool:
        """Say whether decisions can still be recorded."""
        return self.sign_off.state in SignOff.LIVE


def panel(
    sign_off: SignOff, decisions: Sequence[Decision], members: Sequence[Member], user_id: int, now: datetime
) -> Panel:
    """Shape the panel from rows that were read already; asks nothing of the database."""
    decisions = [one for one in decisions if one.kind in Decision.VOICES]
    policy, voices = policy_of(sign_off), [voice_of(one) for one in decisions]
    stands = _standing(sign_off, policy, voices, members, now)
    mine = next((member for member in members if member.user_id == user_id), None)
    live = sign_off.state in SignOff.LIVE
    can_start, why_not_start = rules.may_start(policy, stands, mine, barred_of(sign_off)) if mine else (False, "")
    return Panel(
        sign_off=sign_off,
        lines=_lines(stands, decisions),
        standing=stands,
        policy=" ".join(words.policy_words(policy)),
        unblockers=tuple(f"{member.name} ({', '.join(seats)})" for member, seats in stands.can_unblock) if live else (),
        blocked=tuple(Blocked(person=member.name, why=why) for member, why in stands.cannot) if live else (),
        starters=tuple(
            member.name for member in members if rules.may_start(policy, stands, member, barred_of(sign_off))[0]
        ),
        duties=useful_duties(sign_off, policy, voices, members, user_id, now) if live else (),
        may_reject=live and _may(sign_off, policy, mine, voices, "REJECT"),
        may_revoke=live and _may(sign_off, policy, mine, voices, "REVOKE"),
        may_start=can_start,
        why_not_start=why_not_start,
        why_not=_why_not(sign_off, policy, mine, voices, stands) if live else "",
        unmatched=tuple(author_text(one) for one in sign_off.unmatched_authors),
        revoke_helps=live and not stands.possible and _revoke_helps(sign_off, policy, voices, members, user_id, now),
    )


def useful_duties(
    sign_off: SignOff,
    policy: Policy,
    voices: Sequence[Voice],
    members: Sequence[Member],
    user_id: int,
    now: datetime,
) -> tuple[tuple[str, str], ...]:
    """Return the duties in which this user's approval would fill a missing seat now, with words for the form.

    None is offered in which he would take the last person who could fill another seat.
    """
    mine = next((member for member in members if member.user_id == user_id), None)
    if mine is None:
        return ()
    before = _standing(sign_off, policy, voices, members, now)
    absent = [member for member in members if member.user_id in mine.acts_for]
    useful = []
    for source in (mine, *absent):
        for duty in rules.duties(policy, source.roles):
            mine_too = _would_say(sign_off, policy, mine, None if source is mine else source, duty, voices, now)
            after = _standing(sign_off, policy, [*voices, mine_too], members, now) if mine_too else before
            if len(after.missing) < len(before.missing) and (after.possible or not before.possible):
                useful.append(_offered(duty, None if source is mine else source))
    return tuple(useful)


def _revoke_helps(
    sign_off: SignOff,
    policy: Policy,
    voices: Sequence[Voice],
    members: Sequence[Member],
    user_id: int,
    now: datetime,
) -> bool:
    others = [one for one in voices if one.user_id != user_id]
    return len(others) < len(voices) and _standing(sign_off, policy, others, members, now).possible


def chosen(value: str) -> tuple[str, int | None]:
    """Return the duty that a form names, and the absent person on whose behalf; ValueError where it names neither."""
    duty, _, absent = value.partition(BEHALF)
    return duty, int(absent) if absent else None


def _offered(duty: str, absent: Member | None) -> tuple[str, str]:
    said = DUTY_WORDS.get(duty, duty)
    if absent is None:
        return duty, said
    return f"{duty}{BEHALF}{absent.user_id}", f"on behalf of {absent.name}, who is out of office, as {said}"


def _would_say(
    sign_off: SignOff,
    policy: Policy,
    mine: Member,
    absent: Member | None,
    duty: str,
    voices: Sequence[Voice],
    now: datetime,
) -> Voice | None:
    """Return this person's approval in a duty, if he may give it."""
    allowed, _ = rules.may_decide(
        policy,
        mine,
        kind="APPROVE",
        duty=duty,
        voices=voices,
        digest=sign_off.digest,
        barred=barred_of(sign_off),
        absent=absent,
    )
    if not allowed:
        return None
    return Voice(
        user_id=mine.user_id,
        name=mine.name,
        roles=mine.roles,
        kind="APPROVE",
        duty=duty,
        digest=sign_off.digest,
        at=now,
        for_user=absent.user_id if absent else None,
    )


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
        person=_signed_by(decision),
        account=people.accounts(decision.user, decision.on_behalf_of),
        decision=decision.kind,
        reason=decision.reason,
        at=decision.at,
        diff_opened=decision.diff_opened,
    )


def _signed_by(decision: Decision) -> str:
    behalf = decision.on_behalf_name
    return f"{decision.printed_name} on behalf of {behalf}" if behalf else decision.printed_name


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
