"""Who sits where: the exact matching of consenting people to the seats of a policy; pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .policy import APPROVER, Policy

APPROVERS = "approvers"  # the part of the quorum that the two approvers form; each other part is named by its group


@dataclass(frozen=True, kw_only=True)
class Seat:
    """One consent that the policy asks for; `duty` is the role it must come from, `filled_by` a user id."""

    duty: str
    part: str
    accepts: frozenset[str]
    filled_by: int | None = None


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """A person who consents, or could: the roles that count now, and the duty he consents in ("" leaves it to us).

    `people` are all whom this consent uses up: the person himself, and the absent one whose roles these are.
    """

    user_id: int
    roles: frozenset[str]
    duty: str = ""
    people: frozenset[int] = frozenset()


def seats_of(policy: Policy) -> tuple[Seat, ...]:
    """Return the empty seats of a policy; those that a role reserves come before those that several may fill."""
    anyone = frozenset(policy.approver_groups)
    if policy.requires_golden and policy.golden_may_approve:
        anyone |= {policy.golden_group}
    reserved = [(role, frozenset({role})) for role, count in policy.required_within for _ in range(count)]
    free = [(APPROVER, anyone)] * (policy.approvers - len(reserved))
    seats = [Seat(duty=duty, part=APPROVERS, accepts=accepts) for duty, accepts in reserved + free]
    for role, count in policy.plus:
        seats += [Seat(duty=role, part=role, accepts=frozenset({role}))] * count
    if policy.requires_golden:
        golden = policy.golden_group
        seats.append(Seat(duty=golden, part=golden, accepts=frozenset({golden})))
    return tuple(seats)


def part_of(policy: Policy, duty: str) -> str:
    """Return the part of the quorum that a duty belongs to: every approver group is one part."""
    return APPROVERS if duty == APPROVER or duty in policy.approver_groups else duty


def assign(policy: Policy, sitters: Sequence[Sitter]) -> tuple[Seat, ...]:
    """Seat as many people as can be seated, each once (or once a part, where the policy does not say distinct).

    The golden seat may be shared with an approver seat by the same person. That makes it no plain matching, so each way
    to share is tried: the shared seats become one that asks for both, and the fullest result is kept.
    """
    seats = seats_of(policy)
    if not policy.distinct:
        return _each_part(policy, seats, sitters)
    best = _match(policy, seats, sitters)
    for number, seat in enumerate(seats):
        if policy.requires_golden and seat.part == APPROVERS and filled(best) < len(seats):
            shared = _match(policy, seats[:-1], sitters, golden_too=number)
            result = (*shared, _sit(seats[-1], shared[number].filled_by))
            best = result if filled(result) > filled(best) else best
    return best


def fewest(policy: Policy) -> int:
    """Return how many people at least fill all the seats: who fills two of them, as `assign` lets him, is one."""
    seats = seats_of(policy)
    parts = Counter(seat.part for seat in seats)
    if not policy.distinct:
        return max(parts.values(), default=0)
    return len(seats) - (policy.requires_golden and parts[APPROVERS] > 0)


def filled(seats: Sequence[Seat]) -> int:
    """Return how many of these seats somebody fills."""
    return sum(seat.filled_by is not None for seat in seats)


def _each_part(policy: Policy, seats: Sequence[Seat], sitters: Sequence[Sitter]) -> tuple[Seat, ...]:
    result: list[Seat] = []
    for part in dict.fromkeys(seat.part for seat in seats):
        result += _match(policy, [seat for seat in seats if seat.part == part], sitters)
    return tuple(result)


def _match(
    policy: Policy, seats: Sequence[Seat], sitters: Sequence[Sitter], golden_too: int | None = None
) -> tuple[Seat, ...]:
    """Match by augmenting paths: a newcomer may move those who sit already, and never leaves one standing."""
    taken: dict[int, int] = {}
    may = [
        [number for number, seat in enumerate(seats) if _may_sit(policy, sitter, seat, golden=number == golden_too)]
        for sitter in sitters
    ]
    for newcomer in range(len(sitters)):
        _place(newcomer, may.__getitem__, taken, set())
    return tuple(
        _sit(seat, sitters[taken[number]].user_id if number in taken else None) for number, seat in enumerate(seats)
    )


def _place(newcomer: int, options: Callable[[int], list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    for seat in options(newcomer):
        if seat in tried:
            continue
        tried.add(seat)
        if seat not in taken or _place(taken[seat], options, taken, tried):
            taken[seat] = newcomer
            return True
    return False


def _may_sit(policy: Policy, sitter: Sitter, seat: Seat, *, golden: bool) -> bool:
    if golden and policy.golden_group not in sitter.roles:
        return False
    # where one person may fill several parts, one consent speaks for all of them
    bound = bool(sitter.duty) and policy.distinct
    return bool(seat.accepts & sitter.roles) and (not bound or _fits(policy, sitter.duty, seat))


def _fits(policy: Policy, duty: str, seat: Seat) -> bool:
    """Say whether a consent given in a duty can fill a seat: those of approvers and of the golden group mix."""
    mixing = {APPROVERS, policy.golden_group} if policy.requires_golden else {APPROVERS}
    part = part_of(policy, duty)
    return seat.part == part or (seat.part in mixing and part in mixing)


def _sit(seat: Seat, user_id: int | None) -> Seat:
    return Seat(duty=seat.duty, part=seat.part, accepts=seat.accepts, filled_by=user_id)
