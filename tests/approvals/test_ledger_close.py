"""Opening, and the ways out of a sign-off: used, superseded, expired; and what is checked again before the start."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from approvals import ledger
from approvals.ledger import Refused
from approvals.models import Person, SignOff
from approvals.rules import Policy
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry

from .world import DAY, NOW, actor, decide, opened

Cast = dict[str, User]


@pytest.fixture
def signed(cast: Cast) -> SignOff:
    sign_off = opened(cast["rita"])
    for name, duty in (("ann", "approver"), ("abe", "ops"), ("olaf", "deploy-operator")):
        decide(sign_off, cast[name], duty)
    return SignOff.objects.get(pk=sign_off.pk)


def use(sign_off: SignOff, user: User) -> SignOff:
    return ledger.use(sign_off, by=actor(user), now=NOW)


def test_a_complete_sign_off_starts_a_run_once(signed: SignOff, cast: Cast) -> None:
    assert use(signed, cast["olaf"]).state == "USED"
    with pytest.raises(Refused, match="used: started by Olaf"):
        use(signed, cast["olaf"])


def test_an_incomplete_one_names_what_is_missing(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    decide(sign_off, cast["ann"])
    with pytest.raises(Refused, match="missing: ops, deploy-operator"):
        use(sign_off, cast["olaf"])


def test_a_role_taken_away_after_approving_stops_the_start(signed: SignOff, cast: Cast) -> None:
    cast["abe"].groups.remove(Group.objects.get(name="ops"))
    with pytest.raises(Refused, match="missing: ops"):
        use(signed, cast["olaf"])


def test_an_approver_disabled_after_approving_stops_the_start(signed: SignOff, cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    with pytest.raises(Refused, match="missing: approver"):
        use(signed, cast["olaf"])


def test_roles_limited_to_another_component_stop_the_start(signed: SignOff, cast: Cast) -> None:
    Person.objects.filter(user=cast["ann"]).update(components=["player"])
    with pytest.raises(Refused, match="missing: approver"):
        use(signed, cast["olaf"])


def test_an_expired_one_does_not_start(signed: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="expired"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW + DAY)


def test_a_changed_manifest_row_does_not_start(signed: SignOff, cast: Cast) -> None:
    super(type(SignOff.objects.all()), SignOff.objects.all()).update(manifest='{"release":"6.6.6"}')
    with pytest.raises(Refused, match="does not have the digest"):
        use(signed, cast["olaf"])


def test_an_approver_without_a_starting_role_cannot_start(signed: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="starting needs one of the roles deploy-operator, ops"):
        use(signed, cast["ann"])


def test_neither_token_nor_system_can_start(signed: SignOff, cast: Cast) -> None:
    for by in (SYSTEM, actor(cast["olaf"], "api")):
        with pytest.raises(Refused, match="started by a signed-in person"):
            ledger.use(signed, by=by, now=NOW)


@pytest.mark.parametrize(("order", "starts"), [("ann abe olaf", False), ("olaf ann abe", True)])
def test_the_last_approver_cannot_start_where_the_policy_says_so(cast: Cast, order: str, starts: bool) -> None:
    sign_off = opened(cast["rita"], policy=Policy(last_approver_may_start=False))
    for name in order.split():
        decide(sign_off, cast[name])
    if starts:
        assert use(sign_off, cast["olaf"]).state == "USED"
    else:
        with pytest.raises(Refused, match="last approver"):
            use(sign_off, cast["olaf"])


def test_the_entry_of_the_start_names_whose_consent_counted(signed: SignOff, cast: Cast) -> None:
    use(signed, cast["olaf"])
    entry = AuditEntry.objects.get(action="sign_off.used")
    assert f'"counted":[{cast["ann"].pk},{cast["abe"].pk},{cast["olaf"].pk}]' in entry.body


def test_a_superseded_one_takes_no_decision_and_keeps_its_history(signed: SignOff, cast: Cast) -> None:
    assert ledger.supersede(signed, why="the gates were tuned", by=actor(cast["rita"]), now=NOW)
    assert signed.state == "SUPERSEDED" and signed.decisions.count() == 3
    with pytest.raises(Refused, match="superseded: the gates were tuned"):
        use(signed, cast["olaf"])


def test_superseding_twice_does_nothing(signed: SignOff, cast: Cast) -> None:
    ledger.supersede(signed, why="changed", by=actor(cast["rita"]), now=NOW)
    assert not ledger.supersede(signed, why="again", by=actor(cast["rita"]), now=NOW)
    assert AuditEntry.objects.filter(action="sign_off.superseded").count() == 1


def test_due_sign_offs_expire_and_others_do_not(signed: SignOff) -> None:
    assert ledger.expire_due(NOW + DAY - timedelta(seconds=1)) == []
    assert [one.state for one in ledger.expire_due(NOW + DAY)] == ["EXPIRED"]
    assert ledger.expire_due(NOW + DAY) == []


def test_an_expired_sign_off_takes_no_decision_even_before_it_is_closed(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    with pytest.raises(Refused, match="has expired"):
        decide(sign_off, cast["ann"], now=NOW + DAY)


def test_an_impossible_quorum_is_refused_when_opened(cast: Cast) -> None:
    with pytest.raises(Refused, match="nobody is left who could consent as ops"):
        opened(cast["rita"], barred={cast["abe"].pk: ["commit author"]})
    assert not SignOff.objects.exists()


def test_an_author_whom_nobody_matches_is_refused_by_default(cast: Cast) -> None:
    stranger = [{"name": "Zed", "email": "zed@example.org"}]
    with pytest.raises(Refused, match=re.escape("Zed <zed@example.org>")):
        opened(cast["rita"], unmatched_authors=stranger)
    assert opened(cast["rita"], unmatched_authors=stranger, policy=Policy(unmatched_author="show")).pk


def test_a_manifest_with_another_digest_is_refused(cast: Cast) -> None:
    with pytest.raises(Refused, match="does not have the digest"):
        opened(cast["rita"], digest="0" * 64)


def test_a_second_live_sign_off_for_a_subject_is_refused(signed: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="has an open sign-off already"):
        opened(cast["rita"])


def test_who_decided_and_has_left_is_still_told_of(signed: SignOff, cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    told = {member.name: why for member, why in ledger.standing(signed, now=NOW).cannot}
    assert told["Ann"] == "the account is disabled"


def test_what_is_closed_is_not_looked_at_again(signed: SignOff, django_assert_num_queries) -> None:
    ledger.expire_due(NOW + DAY)
    with django_assert_num_queries(1):
        ledger.expire_due(NOW + DAY)
