"""The seating of people against an oracle that simply tries every way to sit."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from approvals.policy import Policy
from approvals.rules import Member, may_open
from approvals.seats import Sitter, assign, fewest, filled, seats_of
from approvals.solver import unfillable

from .world import judge, member, voice

ROLES = ("approver", "ops", "deploy-operator", "media-eng", "triage")
people = st.lists(st.sets(st.sampled_from(ROLES), max_size=4).map(frozenset), max_size=5)
policies = st.builds(
    Policy,
    approvers=st.integers(2, 3),
    required_within=st.sampled_from([(), (("ops", 1),), (("ops", 2),), (("approver", 1), ("ops", 1))]),
    plus=st.sampled_from([(), (("deploy-operator", 1),), (("deploy-operator", 1), ("triage", 1))]),
    requires_golden=st.booleans(),
    golden_may_approve=st.booleans(),
)


def every_way(seats: int, sitters: int) -> Iterator[list[int | None]]:
    """Yield every list of who sits where, nobody twice, empty seats allowed."""
    if seats == 0:
        yield []
        return
    for rest in every_way(seats - 1, sitters):
        for who in [None, *(number for number in range(sitters) if number not in rest)]:
            yield [*rest, who]


def most_that_can_sit(policy: Policy, roles: list[frozenset[str]]) -> int:
    """Return the most seats that can be filled; the golden seat may be shared with one on an approver seat."""
    seats = [seat for seat in seats_of(policy) if seat.part != policy.golden_group]
    best = 0
    for way in every_way(len(seats), len(roles)):
        if any(who is not None and not seat.accepts & roles[who] for seat, who in zip(seats, way, strict=True)):
            continue
        count = sum(who is not None for who in way)
        if policy.requires_golden:
            on_plus = {who for seat, who in zip(seats, way, strict=True) if seat.part != "approvers"}
            free = [who for who, held in enumerate(roles) if "media-eng" in held and who not in on_plus]
            count += bool(free)
        best = max(best, count)
    return best


def sitters_of(roles: list[frozenset[str]]) -> list[Sitter]:
    return [Sitter(user_id=number, roles=held) for number, held in enumerate(roles)]


@settings(max_examples=150, deadline=None)
@given(policy=policies, roles=people)
@example(policy=Policy(requires_golden=True), roles=[frozenset({"media-eng"}), frozenset({"ops"})])
def test_as_many_seats_are_filled_as_any_seating_could_fill(policy: Policy, roles: list[frozenset[str]]) -> None:
    assert filled(assign(policy, sitters_of(roles))) == most_that_can_sit(policy, roles)


@settings(max_examples=150, deadline=None)
@given(policy=policies, roles=people)
def test_each_seat_is_filled_by_one_who_holds_its_role_and_nobody_sits_twice(
    policy: Policy, roles: list[frozenset[str]]
) -> None:
    seats = assign(policy, sitters_of(roles))
    assert all(seat.filled_by is None or seat.accepts & roles[seat.filled_by] for seat in seats)
    taken = [seat.filled_by for seat in seats if seat.filled_by is not None and seat.part != policy.golden_group]
    assert len(taken) == len(set(taken))
    for seat in seats:
        if seat.part == policy.golden_group and seat.filled_by is not None:
            others = [one.part for one in seats if one.filled_by == seat.filled_by and one is not seat]
            assert set(others) <= {"approvers"}


@settings(max_examples=100, deadline=None)
@given(policy=policies, roles=people)
@example(
    policy=Policy(approvers=2, requires_golden=True, golden_may_approve=True),
    roles=[frozenset({"approver"}), frozenset({"media-eng"})],
)
def test_a_quorum_is_possible_exactly_when_everybody_together_could_form_it(
    policy: Policy, roles: list[frozenset[str]]
) -> None:
    members = [member(number, *held) for number, held in enumerate(roles)]
    reachable = most_that_can_sit(policy, roles) == len(seats_of(policy))
    policy = replace(policy, starter_groups=ROLES)  # who could start it is another question (test_rules_start.py)
    assert may_open(policy, members, barred={}, unmatched=[])[0] is reachable
    assert (unfillable(policy, (), members, barred={}) == ()) is reachable


@settings(max_examples=60, deadline=None)
@given(policy=policies, distinct=st.booleans())
def test_a_quorum_takes_as_many_people_as_are_needed_when_each_may_sit_anywhere(policy: Policy, distinct: bool) -> None:
    policy = replace(policy, distinct=distinct)
    enough = [frozenset(ROLES)] * fewest(policy)
    full = [filled(assign(policy, sitters_of(some))) == len(seats_of(policy)) for some in (enough, enough[1:])]
    assert full == [True, False]


@settings(max_examples=100, deadline=None)
@given(policy=policies, roles=people, said=st.sets(st.integers(0, 4)))
def test_who_is_told_to_unblock_fills_a_seat_and_nobody_else_would(
    policy: Policy, roles: list[frozenset[str]], said: set[int]
) -> None:
    members: list[Member] = [member(number, *held) for number, held in enumerate(roles)]
    voices = [voice(number) for number in sorted(said) if number < len(roles)]
    state = judge(policy, voices, members)
    now = [held for number, held in enumerate(roles) if number in said and held & set(policy.asked_roles())]
    helpful = {
        one.user_id
        for one in members
        if one.user_id not in said and most_that_can_sit(policy, [*now, one.roles]) > most_that_can_sit(policy, now)
    }
    assert {one.user_id for one, _ in state.can_unblock} == helpful
    assert all(set(seats) <= set(state.missing) for _, seats in state.can_unblock)
