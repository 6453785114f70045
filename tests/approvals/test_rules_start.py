"""Who may start what was signed, and whether anybody will be left who may."""

from dataclasses import replace

import pytest

from approvals.policy import PolicyError
from approvals.rules import Answer, Policy, may_open, may_start

from .world import judge, member, voice

ANN, ABE, OLAF, OTIS = 1, 2, 3, 4
PEOPLE = [member(ANN, "approver"), member(ABE, "ops"), member(OLAF, "deploy-operator")]
SIGNED = [voice(ANN), voice(ABE), voice(OLAF)]
NO_APPROVER = Policy(barred_from_start=("approver",))
NOT_LAST = Policy(last_approver_may_start=False)
OTHER = member(OTIS, "deploy-operator")


def start(policy: Policy, user: int, voices: list = SIGNED, **barred: list) -> Answer:
    people = [*PEOPLE, OTHER]
    who = next(one for one in people if one.user_id == user)
    facts = {int(key[1:]): duties for key, duties in barred.items()}
    return may_start(policy, judge(policy, voices, people), who, facts)


def test_by_default_an_approver_may_start() -> None:
    assert start(Policy(), OLAF) == (True, "") and start(Policy(), ABE) == (True, "")


def test_the_policy_may_keep_every_approver_from_starting() -> None:
    why = "by this policy approver of this release cannot be the one who starts"
    assert start(NO_APPROVER, OLAF) == (False, why) == start(NO_APPROVER, ABE)
    assert start(NO_APPROVER, OTIS) == (True, "")


def test_or_only_the_last_one() -> None:
    assert start(NOT_LAST, OLAF)[1] == "by this policy the last approver cannot be the one who starts"
    assert start(NOT_LAST, ABE) == (True, "")


@pytest.mark.parametrize("duty", ["requester", "uploader", "commit author", "tuner"])
def test_a_duty_in_the_release_may_keep_from_starting(duty: str) -> None:
    policy = Policy(barred_from_start=(duty,))
    assert start(policy, OTIS, _4=[duty])[1] == f"by this policy {duty} of this release cannot be the one who starts"
    assert start(policy, OTIS) == (True, "") == start(Policy(), OTIS, _4=[duty])


def test_whom_a_deputy_spoke_for_counts_as_an_approver() -> None:
    behalf = [voice(ANN), voice(ABE), replace(voice(ANN + 10), for_user=OLAF)]
    people = [*PEOPLE, member(ANN + 10, "approver")]
    for policy in (NO_APPROVER, NOT_LAST):
        assert not may_start(policy, judge(policy, behalf, people), PEOPLE[2], {})[0]


def opens(policy: Policy, *people: object, barred: dict | None = None) -> Answer:
    return may_open(policy, people, barred=barred or {}, unmatched=[])  # type: ignore[arg-type]


def test_it_is_not_opened_where_nobody_would_be_left_to_start() -> None:
    opened, why = opens(NO_APPROVER, *PEOPLE)
    assert not opened and why.startswith("nobody is left who could start it: it needs one of the roles deploy-operator")
    assert opens(NO_APPROVER, *PEOPLE, OTHER) == (True, "") == opens(Policy(), *PEOPLE)


def test_a_disabled_starter_is_no_hope() -> None:
    assert not opens(NO_APPROVER, *PEOPLE, replace(OTHER, active=False))[0]


def test_a_starter_who_is_barred_is_no_hope() -> None:
    policy = Policy(barred_from_start=("uploader", "approver"))
    assert not opens(policy, *PEOPLE, OTHER, barred={OTIS: ["uploader"]})[0]


def test_who_alone_may_approve_and_start_does_not_do_where_the_last_must_not() -> None:
    alone = Policy(approvers=1, required_within=(), plus=(), last_approver_may_start=False)
    assert not opens(alone, member(ABE, "ops"))[0]
    assert opens(alone, member(ABE, "ops"), member(ANN, "approver")) == (True, "")
    assert opens(replace(alone, last_approver_may_start=True), member(ABE, "ops")) == (True, "")


def test_without_any_starter_it_is_not_opened() -> None:
    policy = Policy(approvers=1, required_within=(), plus=())
    assert not opens(policy, member(ANN, "approver"))[0]


def test_only_known_bars_are_accepted() -> None:
    with pytest.raises(PolicyError, match=r"policy\.barred_from_start: expected some of requester"):
        Policy(barred_from_start=("auditor",))
    with pytest.raises(PolicyError, match=r"policy\.barred_duties: expected some of requester"):
        Policy(barred_duties=("approver",))


def test_a_later_key_stands_in_the_manifest_only_where_it_was_set() -> None:
    assert not {"barred_from_start", "delegation"} & Policy().to_dict().keys()
    changed = Policy(barred_from_start=("approver",), delegation=False)
    assert changed.to_dict()["barred_from_start"] == ["approver"] and changed.to_dict()["delegation"] is False
    assert Policy.from_dict(changed.to_dict()) == changed
