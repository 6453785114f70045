"""The quorum solver: who can still unblock a sign-off, why the others cannot, whether it can be reached; pure."""

from collections.abc import Sequence

from .policy import Policy
from .seats import Sitter, assign, filled
from .voices import Barred, Member, Voice, approvals, bars, duties, is_free

Helpers = tuple[tuple[Member, tuple[str, ...]], ...]
Others = tuple[tuple[Member, str], ...]


def helpers(
    policy: Policy,
    sitters: Sequence[Sitter],
    missing: Sequence[str],
    members: Sequence[Member],
    voices: Sequence[Voice],
    barred: Barred,
) -> tuple[Helpers, Others]:
    """Return who can still fill which missing seats, and why each other person cannot."""
    can: list[tuple[Member, tuple[str, ...]]] = []
    cannot: list[tuple[Member, str]] = []
    approved = approvals(voices)
    for member in members:
        why = _why_not(policy, member, member.user_id in approved, barred)
        seats = () if why else _would_fill(policy, sitters, missing, member)
        if seats:
            can.append((member, seats))
        else:
            cannot.append((member, why or _no_use(missing)))
    return tuple(can), tuple(cannot)


def unfillable(
    policy: Policy, sitters: Sequence[Sitter], members: Sequence[Member], *, barred: Barred
) -> tuple[str, ...]:
    """Return the seats that stay empty even if everybody who still may approves."""
    seated = {sitter.user_id for sitter in sitters}
    free = [member for member in members if member.user_id not in seated and is_free(policy, member, barred)]
    hopeful = [*sitters, *(Sitter(user_id=member.user_id, roles=member.roles) for member in free)]
    return tuple(seat.duty for seat in assign(policy, hopeful) if seat.filled_by is None)


def impossible(empty: Sequence[str], *, some_decided: bool) -> str:
    """Return the sentence that tells why a quorum cannot be reached and what helps; "" when it can."""
    if not empty:
        return ""
    way = "give the role to somebody who is not barred"
    if some_decided:
        way += ", or let somebody revoke and approve in another duty"
    return f"nobody is left who could consent as {' and '.join(empty)}: {way}"


def _why_not(policy: Policy, member: Member, approved: bool, barred: Barred) -> str:
    if not member.active:
        return "the account is disabled"
    if not member.roles & set(policy.asked_roles()):
        lost = "approved, but no longer holds" if approved else "holds"
        return f"{lost} none of the roles {', '.join(policy.asked_roles())}"
    if why := bars(policy, member.user_id, barred):
        return f"is {' and '.join(why)} of this release"
    return "has approved" if approved else ""


def _no_use(missing: Sequence[str]) -> str:
    return f"fills no missing seat ({', '.join(missing)})" if missing else "nothing is missing"


def _would_fill(policy: Policy, sitters: Sequence[Sitter], missing: Sequence[str], member: Member) -> tuple[str, ...]:
    """Return the missing seats that this person's approval would fill, in any duty that he could give it in."""
    gained: list[str] = []
    before = filled(assign(policy, sitters))
    for duty in duties(policy, member.roles):
        seats = assign(policy, [*sitters, Sitter(user_id=member.user_id, roles=member.roles, duty=duty)])
        if filled(seats) > before:
            left = [seat.duty for seat in seats if seat.filled_by is None]
            gained += [name for name in missing if left.count(name) < missing.count(name)]
    return tuple(dict.fromkeys(gained))
