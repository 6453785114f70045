"""Who may review a break-glass afterwards: somebody who could have approved it and had no part in it."""

import pytest

from approvals.hindsight import may_review
from approvals.policy import Policy
from approvals.voices import Member

ANN = Member(user_id=1, name="Ann", roles=frozenset({"approver"}))


def ask(member: Member = ANN, **changed: object) -> tuple[bool, str]:
    values = {"executor": 9, "barred": {}, "reviewed": set(), **changed}
    return may_review(Policy(), member, **values)


@pytest.mark.parametrize("role", ["approver", "ops", "deploy-operator"])
def test_whoever_could_have_approved_may_review(role: str) -> None:
    assert ask(Member(user_id=1, name="Ann", roles=frozenset({role}))) == (True, "")


@pytest.mark.parametrize("role", ["release-owner", "triage", "auditor", "admin", "media-eng"])
def test_another_role_is_not_enough(role: str) -> None:
    assert "holds none of the roles" in ask(Member(user_id=1, name="Ann", roles=frozenset({role})))[1]


def test_the_one_who_broke_the_glass_may_not() -> None:
    assert ask(executor=1) == (False, "broke the glass")


def test_nobody_reviews_twice() -> None:
    assert ask(reviewed={1}) == (False, "has reviewed it")


def test_a_disabled_account_may_not() -> None:
    assert not ask(Member(user_id=1, name="Ann", roles=ANN.roles, active=False))[0]


@pytest.mark.parametrize("duty", ["requester", "uploader", "commit author", "tuner"])
def test_a_part_in_the_release_bars_even_where_the_policy_lets_it_approve(duty: str) -> None:
    answer = may_review(Policy(barred_duties=()), ANN, executor=9, barred={1: (duty,)}, reviewed=())
    assert answer == (False, f"is {duty} of this release")
