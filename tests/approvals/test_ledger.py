"""Opening, deciding, settling: what the ledger records and what it refuses."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from approvals import ledger
from approvals.ledger import Refused
from approvals.models import Decision, Person, SignOff
from approvals.rules import Policy
from monitoring.models import AuditEntry

from .world import DIGEST, NOW, actor, decide, opened

Cast = dict[str, User]


@pytest.fixture
def sign_off(cast: Cast) -> SignOff:
    return opened(cast["rita"])


def state(sign_off: SignOff) -> str:
    return SignOff.objects.get(pk=sign_off.pk).state


def complete(sign_off: SignOff, cast: Cast) -> SignOff:
    for name, duty in (("ann", "approver"), ("abe", "ops"), ("olaf", "deploy-operator")):
        decide(sign_off, cast[name], duty)
    return SignOff.objects.get(pk=sign_off.pk)


def test_two_approvers_with_ops_and_an_operator_complete_it(sign_off: SignOff, cast: Cast) -> None:
    assert complete(sign_off, cast).state == "COMPLETE"


def test_nobody_approves_before_it_was_opened_by_the_clock(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="one of the hosts has the wrong time"):
        decide(sign_off, cast["ann"], "approver", now=NOW - timedelta(minutes=2))
    assert decide(sign_off, cast["ann"], "approver", now=NOW - timedelta(seconds=30))


def test_nobody_approves_before_another_did_by_the_clock(sign_off: SignOff, cast: Cast) -> None:
    decide(sign_off, cast["ann"], "approver", now=NOW + timedelta(minutes=2))
    with pytest.raises(Refused, match="one of the hosts has the wrong time"):
        decide(sign_off, cast["abe"], "ops", now=NOW)


def test_a_closing_time_stands_only_on_a_closed_one(sign_off: SignOff, cast: Cast) -> None:
    assert complete(sign_off, cast).closed_at is None
    ledger.supersede(sign_off, why="changed", by=actor(cast["rita"]), now=NOW)
    assert sign_off.closed_at == NOW


def test_two_approvers_without_the_operator_leave_it_open(sign_off: SignOff, cast: Cast) -> None:
    decide(sign_off, cast["ann"])
    decide(sign_off, cast["abe"])
    assert state(sign_off) == "OPEN"
    assert ledger.standing(sign_off, now=NOW).missing == ("deploy-operator",)


def test_media_eng_is_one_of_the_two_where_golden_is_required(cast: Cast) -> None:
    sign_off = opened(cast["rita"], policy=Policy(requires_golden=True))
    for name in ("mia", "abe", "olaf"):
        decide(sign_off, cast[name])
    assert state(sign_off) == "COMPLETE"


def test_a_decision_keeps_what_history_needs(sign_off: SignOff, cast: Cast) -> None:
    Person.objects.filter(user=cast["abe"]).update(printed_name="Abe Ops", zone="Europe/Berlin")
    decision = decide(sign_off, cast["abe"], "ops", method="password")
    assert (decision.printed_name, decision.zone, decision.roles) == ("Abe Ops", "Europe/Berlin", ["approver", "ops"])
    assert decision.meaning == f"I have reviewed dhash 1.1.0 to production with digest {DIGEST} and approve it as ops."
    assert decision.digest == DIGEST and decision.seq == 1


def test_a_decision_without_a_chosen_duty_says_in_which_it_may_count(cast: Cast) -> None:
    decision = decide(opened(cast["rita"], policy=Policy(requires_golden=True)), cast["mia"])
    assert decision.meaning.endswith("and approve it as media-eng.")


def test_each_move_is_audited_with_old_and_new_state(sign_off: SignOff, cast: Cast) -> None:
    complete(sign_off, cast)
    moves = AuditEntry.objects.filter(subject_id="7").order_by("seq").values_list("action", "old", "new")
    assert list(moves) == [
        ("sign_off.opened", "", "OPEN"),
        ("sign_off.approved", "OPEN", "OPEN"),
        ("sign_off.approved", "OPEN", "OPEN"),
        ("sign_off.approved", "OPEN", "COMPLETE"),
    ]


def test_the_requester_cannot_approve(cast: Cast) -> None:
    cast["rita"].groups.add(Group.objects.get(name="approver"))
    sign_off = opened(cast["rita"])
    with pytest.raises(Refused, match="requester of this release cannot approve"):
        decide(sign_off, cast["rita"])


@pytest.mark.parametrize("duty", ["uploader", "commit author", "tuner"])
def test_a_person_with_a_duty_in_the_release_cannot_approve(cast: Cast, duty: str) -> None:
    sign_off = opened(cast["rita"], barred={cast["ann"].pk: [duty]}, policy=Policy(approvers=1))
    with pytest.raises(Refused, match=f"{duty} of this release cannot approve"):
        decide(sign_off, cast["ann"])


def test_an_outsider_cannot_decide(sign_off: SignOff, cast: Cast) -> None:
    for kind in ("APPROVE", "REJECT"):
        with pytest.raises(Refused, match="needs one of the roles approver, ops, deploy-operator"):
            decide(sign_off, cast["otto"], kind=kind)


def test_nobody_approves_in_a_duty_of_another(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="approving as deploy-operator needs that role; you can approve as approver"):
        decide(sign_off, cast["ann"], "deploy-operator")


def test_the_same_person_twice_is_refused(sign_off: SignOff, cast: Cast) -> None:
    decide(sign_off, cast["ann"])
    with pytest.raises(Refused, match="approved this already"):
        decide(sign_off, cast["ann"])
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("reason", ["  ", "\u2060\u200b\u200b\u200b\u200b\u200b"])
def test_a_rejection_needs_a_reason(sign_off: SignOff, cast: Cast, reason: str) -> None:
    with pytest.raises(Refused, match="rejection needs a reason"):
        decide(sign_off, cast["ann"], kind="REJECT", reason=reason)
    assert state(sign_off) == "OPEN"


def test_a_rejection_closes_it_for_everyone(sign_off: SignOff, cast: Cast) -> None:
    decide(sign_off, cast["ann"], kind="REJECT", reason="the migration has no way back")
    assert state(sign_off) == "REJECTED"
    with pytest.raises(Refused, match="This sign-off is rejected"):
        decide(sign_off, cast["abe"])


def test_a_complete_sign_off_can_still_be_rejected(sign_off: SignOff, cast: Cast) -> None:
    cast["mia"].groups.add(Group.objects.get(name="approver"))
    complete(sign_off, cast)
    decide(sign_off, cast["mia"], kind="REJECT")
    assert state(sign_off) == "REJECTED"


def test_a_barred_person_may_still_reject(cast: Cast) -> None:
    sign_off = opened(cast["rita"], barred={cast["ann"].pk: ["uploader"]}, policy=Policy(approvers=1))
    decide(sign_off, cast["ann"], kind="REJECT", reason="I uploaded the wrong file")
    assert state(sign_off) == "REJECTED"


def test_an_unknown_kind_of_decision_is_refused(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="no decision"):
        decide(sign_off, cast["ann"], kind="MAYBE")


def test_another_digest_than_the_one_seen_is_refused(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="not what is to be signed any more"):
        decide(sign_off, cast["ann"], digest_seen="0" * 64)


def test_revoking_opens_a_complete_sign_off_again(sign_off: SignOff, cast: Cast) -> None:
    complete(sign_off, cast)
    ledger.revoke(sign_off, user=cast["ann"], reason="", authenticated_at=NOW, by=actor(cast["ann"]), now=NOW)
    assert state(sign_off) == "OPEN"
    assert ledger.standing(sign_off, now=NOW).missing == ("approver",)


def test_who_revoked_may_approve_again(sign_off: SignOff, cast: Cast) -> None:
    decide(sign_off, cast["ann"])
    ledger.revoke(sign_off, user=cast["ann"], reason="", authenticated_at=NOW, by=actor(cast["ann"]), now=NOW)
    assert decide(sign_off, cast["ann"]).seq == 3


def test_there_is_nothing_to_revoke_before_an_approval(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="no approval of yours"):
        ledger.revoke(sign_off, user=cast["ann"], reason="", authenticated_at=NOW, by=actor(cast["ann"]), now=NOW)


@pytest.mark.parametrize("age", [301, -61])
def test_an_old_or_future_proof_is_refused(sign_off: SignOff, cast: Cast, age: int) -> None:
    with pytest.raises(Refused, match="Enter your password again"):
        decide(sign_off, cast["ann"], authenticated_at=NOW - timedelta(seconds=age))


def test_no_proof_at_all_is_refused(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="Enter your password again"):
        decide(sign_off, cast["ann"], authenticated_at=None)


def test_a_proof_of_300_seconds_still_counts(sign_off: SignOff, cast: Cast) -> None:
    assert decide(sign_off, cast["ann"], authenticated_at=NOW - timedelta(seconds=300)).pk


@pytest.mark.parametrize("via", ["api", "system"])
def test_a_token_cannot_decide(sign_off: SignOff, cast: Cast, via: str) -> None:
    with pytest.raises(Refused, match="token cannot decide"):
        decide(sign_off, cast["ann"], by=actor(cast["ann"], via))


def test_nobody_decides_in_another_name(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="another person's name"):
        decide(sign_off, cast["ann"], by=actor(cast["abe"]))


def test_a_disabled_account_cannot_decide(sign_off: SignOff, cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    with pytest.raises(Refused, match="disabled"):
        decide(sign_off, cast["ann"])


def test_a_refusal_leaves_no_trace_in_the_ledger(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused):
        decide(sign_off, cast["otto"])
    assert SignOff.objects.get(pk=sign_off.pk).version == 0
    assert not Decision.objects.exists()
