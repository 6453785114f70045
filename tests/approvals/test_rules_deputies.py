"""What a deputy's approval is worth: the absent person's roles of now, two people used up, no chain."""

from dataclasses import replace

import pytest

from approvals.rules import Member, Policy, Standing, Voice, may_decide

from .world import DIGEST, judge, member, voice

ANN, ABE, OLAF, EVE, TOM = 1, 2, 3, 4, 5
DEPUTY = Policy()


def acting(number: int, *roles: str, acts_for: int, **more: bool) -> Member:
    return replace(member(number, *roles, **more), acts_for=frozenset({acts_for}))


EVE_FOR_OLAF = acting(EVE, "approver", acts_for=OLAF)
PEOPLE = [member(ANN, "approver"), member(ABE, "ops"), member(OLAF, "deploy-operator"), EVE_FOR_OLAF]


def behalf(number: int, of: int, duty: str = "", kind: str = "APPROVE") -> Voice:
    return replace(voice(number, duty, kind), for_user=of)


SIGNED = [voice(ANN), voice(ABE), behalf(EVE, OLAF, "deploy-operator")]


def changed(one: Member, people: list[Member] = PEOPLE) -> list[Member]:
    """Return people with one of them as given."""
    return [one if other.user_id == one.user_id else other for other in people]


def ask(people: list[Member] = PEOPLE, by: int = EVE, of: int | None = OLAF, **facts: object) -> tuple[bool, str]:
    known = {one.user_id: one for one in people}
    values = {"kind": "APPROVE", "duty": "", "voices": [], "digest": DIGEST, "barred": {}, "policy": DEPUTY, **facts}
    return may_decide(member=known[by], absent=None if of is None else known[of], **values)  # type: ignore[arg-type]


def told(state: Standing) -> dict[str, str]:
    return {one.name: why for one, why in state.cannot}


def test_a_deputy_fills_the_seat_of_the_absent_person() -> None:
    state = judge(DEPUTY, SIGNED, PEOPLE)
    assert state.complete and state.counted == (ANN, ABE, EVE)
    assert state.parties[-1] == {EVE, OLAF} and state.last_approver == EVE


def test_his_own_role_counts_nothing_then() -> None:
    voices = [voice(ABE), behalf(EVE, OLAF), voice(ANN)]
    assert judge(Policy(plus=()), [voice(ABE), behalf(EVE, OLAF)], PEOPLE).missing == ("approver",)
    assert judge(DEPUTY, voices, PEOPLE).complete


def test_it_lapses_when_the_absent_person_loses_the_role() -> None:
    assert judge(DEPUTY, SIGNED, changed(member(OLAF, "auditor"))).missing == ("deploy-operator",)


def test_it_lapses_when_the_absent_person_is_disabled_or_gone() -> None:
    assert judge(DEPUTY, SIGNED, changed(member(OLAF, "deploy-operator", active=False))).missing == ("deploy-operator",)
    assert judge(DEPUTY, SIGNED, [one for one in PEOPLE if one.user_id != OLAF]).missing == ("deploy-operator",)


def test_it_lapses_when_the_deputy_loses_every_role_or_is_disabled() -> None:
    for one in (member(EVE, "auditor"), member(EVE, "approver", active=False)):
        assert judge(DEPUTY, SIGNED, changed(one)).missing == ("deploy-operator",)


@pytest.mark.parametrize("who", [EVE, OLAF])
def test_it_does_not_count_when_either_is_barred(who: int) -> None:
    assert judge(DEPUTY, SIGNED, PEOPLE, barred={who: ["uploader"]}).missing == ("deploy-operator",)


def test_what_was_approved_in_time_stands_when_the_delegation_is_over() -> None:
    assert judge(DEPUTY, SIGNED, changed(member(EVE, "approver"))).complete


def test_nobody_counts_twice_however_it_was_recorded() -> None:
    two = Policy(approvers=1, required_within=(), plus=(("deploy-operator", 2),))
    people = [*PEOPLE, acting(TOM, "ops", acts_for=OLAF)]
    said = [voice(OLAF, "deploy-operator"), behalf(EVE, OLAF), behalf(TOM, OLAF), voice(ANN)]
    state = judge(two, said, people)
    assert state.missing == ("deploy-operator",) and state.counted == (OLAF, ANN)


def test_a_deputy_has_one_consent_in_all() -> None:
    people = [*PEOPLE, member(TOM, "deploy-operator")]
    said = [behalf(EVE, OLAF), behalf(EVE, TOM)]
    assert judge(Policy(plus=(("deploy-operator", 2),)), said, people).missing.count("deploy-operator") == 1


def test_the_absent_person_takes_back_what_was_approved_for_him() -> None:
    state = judge(DEPUTY, [*SIGNED, voice(OLAF, kind="REVOKE")], PEOPLE)
    assert state.missing == ("deploy-operator",) and state.counted == (ANN, ABE)


def test_taking_back_does_not_touch_the_others() -> None:
    assert judge(DEPUTY, [*SIGNED, voice(ANN, kind="REVOKE")], PEOPLE).missing == ("approver",)


def test_the_deputy_takes_it_back_himself() -> None:
    assert judge(DEPUTY, [*SIGNED, voice(EVE, kind="REVOKE")], PEOPLE).missing == ("deploy-operator",)
    assert ask(of=None, kind="REVOKE", voices=SIGNED) == (True, "")


def test_a_deputy_may_approve_in_the_duties_of_the_absent_person() -> None:
    assert ask(duty="deploy-operator") == (True, "") and ask() == (True, "")
    assert ask(duty="approver") == (
        False,
        "approving as approver needs that role; you can approve as deploy-operator",
    )


def test_in_his_own_name_he_has_only_his_own() -> None:
    assert ask(of=None, duty="approver")[0] and not ask(of=None, duty="deploy-operator")[0]


def test_who_was_not_named_is_no_deputy() -> None:
    assert ask(by=ANN)[1] == "person 3 is not out of office, or named somebody else to decide"


def test_a_delegation_is_never_passed_on() -> None:
    people = [*PEOPLE, acting(TOM, "approver", acts_for=EVE)]
    assert not ask(people, by=TOM)[0]
    assert not ask(people, by=TOM, of=EVE, duty="deploy-operator")[0]


def test_the_policy_may_forbid_it() -> None:
    assert ask(policy=Policy(delegation=False))[1] == "by this policy nobody approves on behalf of another"


def test_a_barred_deputy_is_refused() -> None:
    assert ask(barred={EVE: ["commit author"]}) == (False, "commit author of this release cannot approve it")


def test_nobody_is_stood_in_for_who_could_not_approve_himself() -> None:
    why = "person 3 is requester of this release, and nobody approves it on such a behalf"
    assert ask(barred={OLAF: ["requester"]}) == (False, why)
    assert ask(changed(member(OLAF, "auditor")))[1] == "person 3 holds no role that is asked any more"


def test_a_deputy_needs_a_role_of_his_own() -> None:
    refused, why = ask(changed(acting(EVE, "auditor", acts_for=OLAF)))
    assert refused is False and why.startswith("this needs one of the roles")
    assert ask(changed(acting(EVE, "auditor", acts_for=OLAF)), of=None, kind="REJECT")[0] is False


def test_a_barred_person_may_still_reject() -> None:
    assert ask(of=None, kind="REJECT", barred={EVE: ["uploader"]}) == (True, "")


def test_a_disabled_deputy_is_refused() -> None:
    assert ask(changed(acting(EVE, "approver", acts_for=OLAF, active=False))) == (False, "this account is disabled")


def test_who_approved_for_himself_approves_for_nobody_else() -> None:
    assert ask(voices=[voice(EVE)])[1] == "you have approved this already; revoke that first"


def test_nobody_is_stood_in_for_who_approved_himself() -> None:
    assert ask(voices=[voice(OLAF)])[1] == "person 3 has a say in this already: person 3 approved"


def test_who_was_stood_in_for_approves_only_after_taking_that_back() -> None:
    said = "on your behalf person 4 has approved this already; revoke that first"
    assert ask(by=OLAF, of=None, voices=SIGNED) == (False, said)
    assert ask(by=OLAF, of=None, voices=SIGNED, kind="REVOKE") == (True, "")
    assert ask(by=OLAF, of=None, voices=[*SIGNED, voice(OLAF, kind="REVOKE")])[0]


def test_a_consent_over_another_digest_uses_nobody_up() -> None:
    assert ask(voices=SIGNED, digest="0" * 64)[0]


def test_the_solver_tells_who_could_decide_on_whose_behalf() -> None:
    state = judge(DEPUTY, [voice(ANN), voice(ABE)], PEOPLE)
    assert [(one.name, seats) for one, seats in state.can_unblock] == [
        ("person 3", ("deploy-operator",)),
        ("person 4 on behalf of person 3", ("deploy-operator",)),
    ]
    assert told(state)["person 4"] == "fills no missing seat (deploy-operator)"


def test_the_solver_tells_why_he_cannot() -> None:
    state = judge(DEPUTY, [voice(ANN), voice(ABE)], PEOPLE, barred={OLAF: ["tuner"]})
    assert told(state)["person 4 on behalf of person 3"] == "person 3 is tuner of this release"
    assert "person 4 on behalf of person 3" not in told(judge(DEPUTY, [], PEOPLE, barred={EVE: ["tuner"]}))


def test_the_solver_tells_of_no_deputy_where_the_policy_has_none() -> None:
    state = judge(Policy(delegation=False), [], PEOPLE)
    assert "person 4 on behalf of person 3" not in {one.name for one, _ in state.can_unblock}


def test_the_solver_says_who_is_spoken_for() -> None:
    assert told(judge(DEPUTY, SIGNED, PEOPLE))["person 3"] == "is spoken for: person 4 approved on that behalf"
    assert told(judge(DEPUTY, SIGNED, PEOPLE))["person 4"] == "has approved"


def test_who_is_used_up_by_a_deputy_is_no_hope_for_another_seat() -> None:
    two = Policy(approvers=1, required_within=(), plus=(("deploy-operator", 1), ("triage", 1)))
    people = changed(member(OLAF, "deploy-operator", "triage"))
    assert not judge(two, [behalf(EVE, OLAF, "deploy-operator")], people).possible
    assert judge(two, [behalf(EVE, OLAF, "deploy-operator")], [*people, member(TOM, "triage")]).possible
