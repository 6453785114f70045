"""The quorum solver: who can still unblock a sign-off, why the others cannot, whether it can be reached; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .policy import APPROVER, Policy
from .seats import Sitter, assign, filled
from .voices import Barred, Member, Voice, bars, duties, is_free, spoken_for

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
    """Return who can still fill which missing seats, and why each other person cannot.

    Who may stand in for an absent person is told of once more for each, by the name "Ann on behalf of Olaf".
    """
    can: list[tuple[Member, tuple[str, ...]]] = []
    cannot: list[tuple[Member, str]] = []
    spoken = spoken_for(voices)
    for member, why in _candidates(policy, members, spoken, barred):
        seats = () if why else _would_fill(policy, sitters, missing, member)
        if seats:
            can.append((member, seats))
        else:
            cannot.append((member, why or _no_use(missing)))
    return tuple(can), tuple(cannot)


def unfillable(
    policy: Policy, sitters: Sequence[Sitter], members: Sequence[Member], *, barred: Barred
) -> tuple[str, ...]:
    """Return the seats that stay empty even if everybody who still may approves.

    Deputies add nothing here: whoever is stood in for could come back and sign himself.
    """
    used = {person for sitter in sitters for person in sitter.people}
    free = [member for member in members if member.user_id not in used and is_free(policy, member, barred)]
    hopeful = [*sitters, *(Sitter(user_id=member.user_id, roles=member.roles) for member in free)]
    return tuple(seat.duty for seat in assign(policy, hopeful) if seat.filled_by is None)


def impossible(empty: Sequence[str], *, some_decided: bool) -> str:
    """Return the sentence that tells why a quorum cannot be reached and what helps; "" when it can."""
    if not empty:
        return ""
    way = "give the role to somebody who is not barred"
    if some_decided:
        way += ", or let somebody revoke and approve in another duty"
    counts = Counter(empty)
    duties_left = " and ".join(duty if times == 1 else f"{duty} ({times} times)" for duty, times in counts.items())
    return f"nobody is left who could consent as {duties_left}: {way}"


def start_bars(policy: Policy, user_id: int, barred: Barred, approvers: frozenset[int]) -> tuple[str, ...]:
    """Return what keeps a person from starting under this policy: duties in the release, or a consent that counts."""
    own = (*barred.get(user_id, ()), *((APPROVER,) if user_id in approvers else ()))
    return tuple(duty for duty in own if duty in policy.barred_from_start)


def unstartable(policy: Policy, members: Sequence[Member], *, barred: Barred) -> str:
    """Return the sentence that tells that nobody would be left to start what the others sign; "" when somebody is."""
    if any(_could_start(policy, member, members, barred) for member in members):
        return ""
    return (
        f"nobody is left who could start it: it needs one of the roles {', '.join(policy.starter_groups)}, held by "
        "somebody whom the policy does not keep from starting"
    )


def _could_start(policy: Policy, member: Member, members: Sequence[Member], barred: Barred) -> bool:
    if not member.active or not member.roles & set(policy.starter_groups):
        return False
    if start_bars(policy, member.user_id, barred, frozenset()):
        return False
    others = [one for one in members if one.user_id != member.user_id]
    if APPROVER in policy.barred_from_start:
        return not unfillable(policy, (), others, barred=barred)
    # anybody else who may approve after him keeps him from being the last
    return policy.last_approver_may_start or any(is_free(policy, one, barred) for one in others)


def _candidates(
    policy: Policy, members: Sequence[Member], spoken: Mapping[int, Voice], barred: Barred
) -> Iterator[tuple[Member, str]]:
    """Yield each person for himself, and for each absent one whom he could decide for, with what speaks against it."""
    known = {member.user_id: member for member in members}
    for member in members:
        why = _why_not(policy, member, spoken, barred)
        yield member, why
        if why or not policy.delegation:
            continue
        for absent in [known[one] for one in sorted(member.acts_for) if one in known]:
            against = _why_not(policy, absent, spoken, barred)
            deputy = replace(member, name=f"{member.name} on behalf of {absent.name}", roles=absent.roles)
            yield deputy, against and f"{absent.name} {against}"


def _why_not(policy: Policy, member: Member, spoken: Mapping[int, Voice], barred: Barred) -> str:
    given = spoken.get(member.user_id)
    if not member.active:
        return "the account is disabled"
    if not member.roles & set(policy.asked_roles()):
        lost = "approved, but no longer holds" if given else "holds"
        return f"{lost} none of the roles {', '.join(policy.asked_roles())}"
    if why := bars(policy, member.user_id, barred):
        return f"is {' and '.join(why)} of this release"
    if given and given.user_id != member.user_id:
        return f"is spoken for: {given.name} approved on that behalf"
    return "has approved" if given else ""


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
