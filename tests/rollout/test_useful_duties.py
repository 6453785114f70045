"""Which duties the decision form offers: none that leaves another seat without anybody."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import User

from approvals.reading import policy_of
from approvals.rules import Member
from rollout.models import Rollout, Target
from rollout.views import signing
from tests import factories
from tests.approvals.test_delegation import give
from tests.factories import NOW, decide, fresh

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    return factories.make_waiting(target, cast["rita"])


def members(cast: Cast, *more: Member) -> list[Member]:
    """Return Ann, who stands in for Olaf, Abe, Olaf, and whoever else is given."""
    ann = member(cast["ann"], "approver")
    return [
        replace(ann, acts_for=frozenset({cast["olaf"].pk})),
        member(cast["abe"], "approver", "ops"),
        member(cast["olaf"], "deploy-operator"),
        *more,
    ]


def member(user: User, *roles: str) -> Member:
    return Member(user_id=user.pk, name=user.username, roles=frozenset(roles), active=True)


def offered(rollout: Rollout, user: User, people: list[Member]) -> list[str]:
    sign_off = rollout.sign_off
    assert sign_off is not None
    found = signing.useful_duties(sign_off, policy_of(sign_off), [], people, user.pk, NOW)
    return [value for value, _ in found]


def test_a_deputy_who_is_needed_in_her_own_duty_is_not_offered_the_other(waiting: Rollout, cast: Cast) -> None:
    assert offered(waiting, cast["ann"], members(cast)) == ["approver"]


def test_a_deputy_whom_somebody_can_replace_is_offered_both(waiting: Rollout, cast: Cast) -> None:
    people = members(cast, member(cast["tom"], "approver"))
    assert offered(waiting, cast["ann"], people) == ["approver", f"deploy-operator/{cast['olaf'].pk}"]


def test_whose_approval_makes_it_impossible_is_told_that_taking_it_back_helps(waiting: Rollout, cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    decide(waiting, cast["ann"], "deploy-operator", on_behalf_of=cast["olaf"].pk)
    sign_off = fresh(waiting).sign_off
    assert sign_off is not None
    given, people = list(sign_off.decisions.all()), members(cast)
    panels = {name: signing.panel(sign_off, given, people, cast[name].pk, NOW) for name in ("ann", "abe")}
    assert {name: (one.standing.possible, one.revoke_helps) for name, one in panels.items()} == {
        "ann": (False, True),
        "abe": (False, False),
    }
