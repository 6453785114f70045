"""What a set of voices is worth: quorum, separation of duties, roles of now, time."""

from datetime import timedelta

import pytest

from approvals.rules import Policy, duties, may_decide, may_open, may_start

from .world import DAY, DIGEST, NOW, judge, member, voice

ANN, ABE, OLAF, MIA, TOM = 1, 2, 3, 4, 5
PEOPLE = [
    member(ANN, "approver"),
    member(ABE, "approver", "ops"),
    member(OLAF, "deploy-operator"),
    member(MIA, "media-eng"),
    member(TOM, "triage"),
]
FULL = [voice(ANN, "approver"), voice(ABE, "ops"), voice(OLAF, "deploy-operator")]
GOLDEN = Policy(requires_golden=True)


def without(number: int, *roles: str, active: bool = True) -> list:
    """Return PEOPLE with one of them holding other roles."""
    return [one for one in PEOPLE if one.user_id != number] + [member(number, *roles, active=active)]


def test_the_default_quorum() -> None:
    state = judge(Policy(), FULL, PEOPLE)
    assert state.complete and state.missing == () and state.counted == (ANN, ABE, OLAF)


def test_two_approvers_without_ops_do_not_do() -> None:
    people = without(ABE, "approver")
    assert judge(Policy(), [voice(ANN), voice(ABE), voice(OLAF)], people).missing == ("ops",)


def test_one_person_sits_on_one_seat() -> None:
    everything = [member(ABE, "approver", "ops", "deploy-operator")]
    state = judge(Policy(), [voice(ABE)], everything)
    assert len(state.missing) == 2 and not state.complete


def test_who_holds_two_roles_moves_to_where_he_is_needed() -> None:
    people = without(ABE, "ops", "deploy-operator")
    voices = [voice(ABE), voice(ANN), voice(7)]
    assert judge(Policy(), voices, [*people, member(7, "ops")]).complete


def test_a_consent_given_in_a_duty_counts_in_no_other() -> None:
    people = without(ABE, "ops", "deploy-operator")
    voices = [voice(ABE, "ops"), voice(ANN), voice(7)]
    assert judge(Policy(), voices, [*people, member(7, "ops")]).missing == ("deploy-operator",)


def test_where_people_need_not_be_distinct_one_sits_in_two_parts() -> None:
    people = without(ABE, "ops", "deploy-operator")
    assert judge(Policy(distinct=False), [voice(ANN), voice(ABE, "ops")], people).complete


def test_even_then_nobody_is_two_approvers() -> None:
    people = without(ABE, "approver", "ops", "deploy-operator")
    assert judge(Policy(distinct=False), [voice(ABE)], people).missing == ("approver",)


def test_golden_asks_for_media_eng_beside_a_full_quorum() -> None:
    assert judge(GOLDEN, FULL, PEOPLE).missing == ("media-eng",)
    assert judge(GOLDEN, [*FULL, voice(MIA)], PEOPLE).complete


def test_media_eng_may_be_one_of_the_two() -> None:
    assert judge(GOLDEN, [voice(MIA), voice(ABE), voice(OLAF)], PEOPLE).complete


def test_unless_the_policy_wants_an_approver_there() -> None:
    strict = Policy(requires_golden=True, golden_may_approve=False)
    assert judge(strict, [voice(MIA), voice(ABE), voice(OLAF)], PEOPLE).missing == ("approver",)
    both = without(MIA, "media-eng", "approver")
    assert judge(strict, [voice(MIA, "media-eng"), voice(ABE), voice(OLAF)], both).complete


def test_media_eng_cannot_be_the_deploy_operator_too() -> None:
    people = without(MIA, "media-eng", "deploy-operator")
    assert not judge(GOLDEN, [voice(MIA), voice(ABE), voice(ANN)], people).complete


def test_media_eng_counts_nothing_where_golden_is_not_required() -> None:
    assert judge(Policy(), [voice(MIA), voice(ABE), voice(OLAF)], PEOPLE).missing == ("approver",)


def test_a_role_that_was_taken_away_does_not_count() -> None:
    assert judge(Policy(), FULL, without(ABE, "approver")).missing == ("ops",)


def test_a_disabled_person_does_not_count() -> None:
    assert judge(Policy(), FULL, without(ANN, "approver", active=False)).missing == ("approver",)


def test_a_person_who_is_gone_does_not_count() -> None:
    assert judge(Policy(), FULL, [one for one in PEOPLE if one.user_id != OLAF]).missing == ("deploy-operator",)


@pytest.mark.parametrize("duty", ["requester", "uploader", "commit author", "tuner"])
def test_a_barred_person_does_not_count(duty: str) -> None:
    assert judge(Policy(), FULL, PEOPLE, barred={ANN: [duty]}).missing == ("approver",)


def test_a_duty_that_the_policy_does_not_bar_counts() -> None:
    assert judge(Policy(barred_duties=("requester",)), FULL, PEOPLE, barred={ANN: ["tuner"]}).complete


def test_another_digest_does_not_count() -> None:
    voices = [*FULL[:2], voice(OLAF, digest="0" * 64)]
    assert judge(Policy(), voices, PEOPLE).missing == ("deploy-operator",)


def test_a_revoked_consent_does_not_count_and_a_new_one_does() -> None:
    voices = [*FULL, voice(ANN, kind="REVOKE")]
    assert judge(Policy(), voices, PEOPLE).missing == ("approver",)
    assert judge(Policy(), [*voices, voice(ANN)], PEOPLE).last_approver == ANN


def test_one_rejection_outweighs_a_quorum() -> None:
    state = judge(Policy(), [*FULL, voice(MIA, kind="REJECT")], PEOPLE)
    assert state.rejected_by == MIA and not state.complete


def test_it_expires_at_the_second() -> None:
    assert not judge(Policy(), FULL, PEOPLE, now=NOW + DAY - timedelta(seconds=1)).expired
    late = judge(Policy(), FULL, PEOPLE, now=NOW + DAY)
    assert late.expired and not late.complete


def test_a_clock_that_jumped_back_revives_nothing() -> None:
    late = [*FULL[:2], voice(OLAF, at=NOW + timedelta(hours=3))]
    assert judge(Policy(), late, PEOPLE, now=NOW + timedelta(hours=2)).expired
    assert judge(Policy(), FULL, PEOPLE, now=NOW - timedelta(seconds=61)).expired
    assert not judge(Policy(), FULL, PEOPLE, now=NOW - timedelta(seconds=60)).expired


def test_it_names_who_can_unblock_and_why_the_others_cannot() -> None:
    state = judge(Policy(), FULL[:1], [*PEOPLE, member(9, "ops")], barred={9: ["uploader", "tuner"]})
    assert [(one.user_id, seats) for one, seats in state.can_unblock] == [
        (ABE, ("ops",)),
        (OLAF, ("deploy-operator",)),
    ]
    assert {one.user_id: why for one, why in state.cannot} == {
        ANN: "has approved",
        MIA: "holds none of the roles approver, ops, deploy-operator",
        TOM: "holds none of the roles approver, ops, deploy-operator",
        9: "is uploader and tuner of this release",
    }


def test_it_tells_who_approved_and_lost_the_role() -> None:
    state = judge(Policy(), FULL, without(ANN, "auditor"))
    assert state.counted == (ABE, OLAF)
    assert {one.user_id: why for one, why in state.cannot}[ANN].startswith("approved, but no longer holds")


def test_a_second_approver_is_of_no_use_when_only_ops_is_missing() -> None:
    state = judge(Policy(), [FULL[0], FULL[2]], [*PEOPLE, member(9, "approver")])
    assert {one.user_id: why for one, why in state.cannot}[9] == "fills no missing seat (ops)"


def test_a_quorum_that_nobody_can_reach_any_more_says_so() -> None:
    state = judge(Policy(), FULL[:1], without(ABE, "approver"))
    assert not state.possible
    assert state.impossible_reason.startswith("nobody is left who could consent as ops")


def test_it_opens_only_where_the_quorum_can_be_reached() -> None:
    assert may_open(Policy(), PEOPLE, barred={}, unmatched=[]) == (True, "")
    assert not may_open(Policy(), PEOPLE, barred={ABE: ["requester"]}, unmatched=[])[0]
    assert not may_open(Policy(), without(ABE, "ops", active=False), barred={}, unmatched=[])[0]


def test_an_unknown_author_is_refused_or_shown() -> None:
    refused, why = may_open(Policy(), PEOPLE, barred={}, unmatched=["Zed <z@x>"])
    assert not refused and "Zed <z@x>" in why
    assert may_open(Policy(unmatched_author="show"), PEOPLE, barred={}, unmatched=["Zed <z@x>"])[0]


def test_duties_are_offered_by_role() -> None:
    assert duties(GOLDEN, frozenset({"media-eng", "ops", "deploy-operator"})) == (
        "media-eng",
        "deploy-operator",
        "approver",
    )
    assert duties(Policy(), frozenset({"media-eng", "auditor"})) == ()


def test_media_eng_alone_may_approve_as_approver_where_the_policy_allows_it() -> None:
    facts = {"kind": "APPROVE", "duty": "approver", "voices": [], "digest": DIGEST, "barred": {}}
    assert may_decide(GOLDEN, member(MIA, "media-eng"), **facts)[0]
    strict = Policy(requires_golden=True, golden_may_approve=False)
    assert not may_decide(strict, member(MIA, "media-eng"), **facts)[0]
    assert not may_decide(GOLDEN, member(OLAF, "deploy-operator"), **facts)[0]
    assert not may_decide(Policy(), member(MIA, "media-eng", "deploy-operator"), **facts)[0]


@pytest.mark.parametrize(
    ("voices", "changed", "why"),
    [
        (FULL[:2], {}, "not complete; missing: deploy-operator"),
        ([*FULL, voice(MIA, kind="REJECT")], {}, "was rejected"),
        (FULL, {"now": NOW + DAY}, "has expired"),
    ],
)
def test_nothing_starts_without_a_standing_quorum(voices: list, changed: dict, why: str) -> None:
    state = judge(Policy(), voices, PEOPLE, **changed)
    allowed, said = may_start(Policy(), state, member(OLAF, "deploy-operator"), {})
    assert not allowed and why in said


@pytest.mark.parametrize(
    ("user", "why"),
    [(member(ANN, "approver"), "deploy-operator"), (member(OLAF, "deploy-operator", active=False), "disabled")],
)
def test_not_everybody_may_start(user: object, why: str) -> None:
    allowed, said = may_start(Policy(), judge(Policy(), FULL, PEOPLE), user, {})  # type: ignore[arg-type]
    assert not allowed and why in said
