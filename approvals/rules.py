"""Four-eyes arithmetic: what a set of consents is worth now, who may decide, who may start; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .policy import Policy, PolicyError
from .seats import APPROVERS, Seat, Sitter, assign, part_of
from .solver import helpers, impossible, start_bars, unfillable, unstartable
from .voices import APPROVE, REJECT, REVOKE, Barred, Member, Voice, approvals, bars, duties, is_free, spoken_for

__all__ = [
    "Member",
    "Policy",
    "PolicyError",
    "Seat",
    "Standing",
    "Voice",
    "duties",
    "may_decide",
    "may_open",
    "may_start",
    "standing",
]

# A clock that jumped back further than this makes every consent void, so that none that expired can live again.
CLOCK_SKEW = timedelta(seconds=60)

Answer = tuple[bool, str]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a sign-off is worth at one moment.

    `counted` are the people whose approval counts, oldest first; `parties` beside it also those they stood in for.
    """

    complete: bool
    rejected_by: int | None
    expired: bool
    seats: tuple[Seat, ...]
    missing: tuple[str, ...]
    counted: tuple[int, ...]
    parties: tuple[frozenset[int], ...]
    can_unblock: tuple[tuple[Member, tuple[str, ...]], ...]
    cannot: tuple[tuple[Member, str], ...]
    possible: bool
    impossible_reason: str

    @property
    def last_approver(self) -> int | None:
        """Return the user whose counted approval is the newest."""
        return self.counted[-1] if self.counted else None


def standing(
    policy: Policy,
    voices: Sequence[Voice],
    members: Sequence[Member],
    *,
    digest: str,
    barred: Barred,
    opened_at: datetime,
    expires_at: datetime,
    now: datetime,
) -> Standing:
    """Judge the voices over one digest by the roles that the members hold now."""
    heard = [voice for voice in voices if voice.digest == digest]
    known = {member.user_id: member for member in members}
    sitters = _sitters(policy, heard, known, barred)
    seats = assign(policy, sitters)
    missing = tuple(seat.duty for seat in seats if seat.filled_by is None)
    rejected_by = next((voice.user_id for voice in heard if voice.kind == REJECT), None)
    expired = _is_expired(heard, opened_at, expires_at, now)
    can, cannot = helpers(policy, sitters, missing, members, heard, barred)
    empty = unfillable(policy, sitters, members, barred=barred)
    return Standing(
        complete=not missing and rejected_by is None and not expired,
        rejected_by=rejected_by,
        expired=expired,
        seats=seats,
        missing=missing,
        counted=tuple(sitter.user_id for sitter in sitters),
        parties=tuple(sitter.people for sitter in sitters),
        can_unblock=can,
        cannot=cannot,
        possible=not empty,
        impossible_reason=impossible(empty, some_decided=bool(sitters)),
    )


def may_open(policy: Policy, members: Sequence[Member], *, barred: Barred, unmatched: Sequence[str]) -> Answer:
    """Say whether a sign-off can be opened: authors known (or by policy only shown), quorum and start reachable."""
    if unmatched and policy.unmatched_author == "refuse":
        names = ", ".join(unmatched)
        return False, f"commit authors that match no user: {names}; enter their commit e-mail on the person's page"
    empty = unfillable(policy, (), members, barred=barred)
    why = impossible(empty, some_decided=False) or unstartable(policy, members, barred=barred)
    return not why, why


def may_decide(
    policy: Policy,
    member: Member,
    *,
    kind: str,
    duty: str,
    voices: Sequence[Voice],
    digest: str,
    barred: Barred,
    absent: Member | None = None,
) -> Answer:
    """Say whether a person may approve (on behalf of `absent`, where given), reject or revoke now, and if not, why.

    Rejecting is open to whoever holds a role that is asked, barred or not: saying no needs no independence.
    """
    spoken = spoken_for([voice for voice in voices if voice.digest == digest])
    own = spoken.get(member.user_id)
    if not member.active:
        return False, "this account is disabled"
    if kind == REVOKE:
        return (True, "") if own else (False, "there is no approval of yours to revoke")
    if own:
        said = "you have" if own.user_id == member.user_id else f"on your behalf {own.name} has"
        return False, f"{said} approved this already; revoke that first"
    if not member.roles & set(policy.asked_roles()):
        return False, f"this needs one of the roles {', '.join(policy.asked_roles())}"
    if kind != APPROVE:
        return True, ""
    if why := bars(policy, member.user_id, barred):
        return False, f"{' and '.join(why)} of this release cannot approve it"
    if absent is not None and (why_not := _stands_in(policy, member, absent, spoken, barred)):
        return False, why_not
    return _fits(policy, (absent or member).roles, duty)


def may_start(policy: Policy, state: Standing, user: Member, barred: Barred) -> Answer:
    """Say whether a person may start what was signed, and if not, why."""
    if state.rejected_by is not None:
        return False, "the sign-off was rejected"
    if state.expired:
        return False, "the sign-off has expired"
    if not state.complete:
        return False, f"the sign-off is not complete; missing: {', '.join(state.missing)}"
    if not user.active:
        return False, "this account is disabled"
    if not user.roles & set(policy.starter_groups):
        return False, f"starting needs one of the roles {', '.join(policy.starter_groups)}"
    approvers = frozenset().union(*state.parties)
    if why := start_bars(policy, user.user_id, barred, approvers):
        return False, f"by this policy {' and '.join(why)} of this release cannot be the one who starts"
    if not policy.last_approver_may_start and user.user_id in state.parties[-1]:
        return False, "by this policy the last approver cannot be the one who starts"
    return True, ""


def _stands_in(policy: Policy, member: Member, absent: Member, spoken: Mapping[int, Voice], barred: Barred) -> str:
    """Return why a person cannot decide on behalf of another; "" when he can."""
    if not policy.delegation:
        return "by this policy nobody approves on behalf of another"
    if absent.user_id not in member.acts_for:
        return f"{absent.name} is not out of office, or named somebody else to decide"
    if given := spoken.get(absent.user_id):
        return f"{absent.name} has a say in this already: {given.name} approved"
    if why := bars(policy, absent.user_id, barred):
        return f"{absent.name} is {' and '.join(why)} of this release, and nobody approves it on such a behalf"
    return "" if is_free(policy, absent, barred) else f"{absent.name} holds no role that is asked any more"


def _fits(policy: Policy, roles: frozenset[str], duty: str) -> Answer:
    """Say whether somebody with these roles can approve in a duty."""
    parts = {part_of(policy, own) for own in duties(policy, roles)}
    if policy.requires_golden and policy.golden_may_approve and policy.golden_group in roles:
        parts.add(APPROVERS)
    if duty and part_of(policy, duty) not in parts:
        own = ", ".join(duties(policy, roles))
        return False, f"approving as {duty} needs that role; you can approve as {own}"
    return True, ""


def _sitters(policy: Policy, voices: Sequence[Voice], known: Mapping[int, Member], barred: Barred) -> list[Sitter]:
    """Return the consents that count: everybody behind one is still free to give it, and in no other."""
    found: list[Sitter] = []
    used: set[int] = set()
    for voice in approvals(voices).values():
        free = all(one in known and is_free(policy, known[one], barred) for one in voice.people)
        if free and not voice.people & used:
            used |= voice.people
            roles = known[voice.source].roles
            found.append(Sitter(user_id=voice.user_id, roles=roles, duty=voice.duty, people=voice.people))
    return found


def _is_expired(voices: Sequence[Voice], opened_at: datetime, expires_at: datetime, now: datetime) -> bool:
    newest = max([opened_at, *(voice.at for voice in voices)])
    return now >= expires_at or now + CLOCK_SKEW < newest
