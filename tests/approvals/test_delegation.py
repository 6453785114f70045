"""Out of office: who may name whom, for how long, and what the ledger then records of a deputy's approval."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from approvals import delegation, ledger, people
from approvals.append_only import AppendOnlyError
from approvals.models import Delegation, Person, SignOff
from approvals.proof import Refused
from monitoring.models import AuditEntry

from .world import DAY, DIGEST, NOW, actor, decide, opened

Cast = dict[str, User]
WEEK = timedelta(days=7)


def give(user: User, deputy: User, **changed: Any) -> Delegation:
    values = {"starts_at": NOW, "ends_at": NOW + WEEK, "why": "on holiday", "by": actor(user), "now": NOW, **changed}
    return delegation.give(user, deputy, **values)


def end(given: Delegation, user: User, **changed: Any) -> None:
    delegation.end(given, **{"user": user, "why": "back again", "by": actor(user), "now": NOW, **changed})


def acts_for(user: User, now: datetime = NOW) -> frozenset[int]:
    known = people.member(user.pk, "dhash", now=now)
    return known.acts_for if known else frozenset()


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-seq")[0]


def test_a_deputy_acts_from_the_first_moment_and_not_at_the_last(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"], starts_at=NOW + DAY)
    moments = [NOW, NOW + DAY - timedelta(seconds=1), NOW + DAY, NOW + WEEK - timedelta(seconds=1), NOW + WEEK]
    assert [bool(acts_for(cast["ann"], at)) for at in moments] == [False, False, True, True, False]


def test_it_is_the_deputys_alone(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    told = {one.name: one.acts_for for one in people.members("dhash", now=NOW) if one.acts_for}
    assert told == {"Ann": {cast["olaf"].pk}}
    assert acts_for(cast["abe"]) == frozenset() and acts_for(cast["ann"]) == {cast["olaf"].pk}


def test_one_person_may_stand_in_for_two(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    give(cast["mia"], cast["ann"])
    assert acts_for(cast["ann"]) == {cast["olaf"].pk, cast["mia"].pk}


def test_it_is_audited_without_names(cast: Cast) -> None:
    given = give(cast["olaf"], cast["ann"])
    entry = last()
    assert (entry.action, entry.subject_id, entry.why) == ("delegation.given", str(cast["olaf"].pk), "on holiday")
    assert json.loads(entry.body)["data"] == {
        "delegation": given.pk,
        "deputy": cast["ann"].pk,
        "starts_at": NOW.isoformat(),
        "ends_at": (NOW + WEEK).isoformat(),
    }


def test_it_never_begins_in_the_past(cast: Cast) -> None:
    assert give(cast["olaf"], cast["ann"], starts_at=NOW - DAY).starts_at == NOW


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ends_at": NOW}, "ends before it begins"),
        ({"ends_at": NOW - DAY}, "ends before it begins"),
        ({"ends_at": NOW + timedelta(days=30, seconds=1)}, "30 days at most"),
        ({"why": " "}, "Say why"),
    ],
)
def test_span_and_reason_are_asked_for(cast: Cast, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        give(cast["olaf"], cast["ann"], **changed)
    assert not Delegation.objects.exists()


def test_thirty_days_are_accepted(cast: Cast) -> None:
    assert give(cast["olaf"], cast["ann"], ends_at=NOW + timedelta(days=30)).pk


def test_nobody_is_his_own_deputy(cast: Cast) -> None:
    with pytest.raises(Refused, match="nobody is his own deputy"):
        give(cast["olaf"], cast["olaf"])


@pytest.mark.parametrize("name", ["otto", "rita", "aud", "ada", "tom"])
def test_only_people_who_are_asked_for_consents_delegate(cast: Cast, name: str) -> None:
    for user, deputy in ((cast[name], cast["ann"]), (cast["ann"], cast[name])):
        with pytest.raises(Refused, match=f"{name.title()} holds none of the roles approver, ops"):
            give(user, deputy)


def test_a_disabled_person_is_no_deputy(cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    with pytest.raises(Refused, match="Ann holds none"):
        give(cast["olaf"], cast["ann"])


@pytest.mark.parametrize("via", ["api", "system"])
def test_a_token_delegates_nothing(cast: Cast, via: str) -> None:
    with pytest.raises(Refused, match="A token cannot"):
        give(cast["olaf"], cast["ann"], by=actor(cast["olaf"], via))


def test_nobody_delegates_in_another_name(cast: Cast) -> None:
    with pytest.raises(Refused, match="another person's name"):
        give(cast["olaf"], cast["ann"], by=actor(cast["ann"]))


def test_a_second_deputy_at_the_same_time_is_refused(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    with pytest.raises(Refused, match="You have named Ann until 2026-11-30 12:00; end that first"):
        give(cast["olaf"], cast["abe"], starts_at=NOW + WEEK - DAY, ends_at=NOW + 2 * WEEK)


def test_one_after_the_other_is_accepted(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    assert give(cast["olaf"], cast["abe"], starts_at=NOW + WEEK, ends_at=NOW + 2 * WEEK).pk


def test_a_deputy_who_is_away_himself_is_refused(cast: Cast) -> None:
    give(cast["ann"], cast["abe"])
    with pytest.raises(Refused, match="Ann is out of office as well until 2026-11-30 12:00"):
        give(cast["olaf"], cast["ann"])


def test_a_deputy_does_not_pass_it_on(cast: Cast) -> None:
    give(cast["olaf"], cast["ann"])
    with pytest.raises(Refused, match=r"You stand in for somebody yourself until .*never passed on"):
        give(cast["ann"], cast["abe"])


def test_whoever_gave_it_the_deputy_and_an_admin_end_it(cast: Cast) -> None:
    for name in ("olaf", "ann", "ada"):
        given = give(cast["olaf"], cast["ann"])
        end(given, cast[name])
        assert (given.ended_at, given.ended_by, given.ended_why) == (NOW, cast[name], "back again")
        assert acts_for(cast["ann"]) == frozenset()
    assert last().action == "delegation.ended" and last().subject_id == str(cast["olaf"].pk)
    assert json.loads(last().body)["data"] == {"delegation": given.pk, "deputy": cast["ann"].pk}


def test_nobody_else_ends_it(cast: Cast) -> None:
    given = give(cast["olaf"], cast["ann"])
    with pytest.raises(Refused, match="ended by whoever gave it"):
        end(given, cast["abe"])
    with pytest.raises(Refused, match="another person's name"):
        end(given, cast["olaf"], by=actor(cast["abe"]))
    assert acts_for(cast["ann"])


def test_it_ends_once(cast: Cast) -> None:
    given = give(cast["olaf"], cast["ann"])
    end(given, cast["olaf"])
    with pytest.raises(Refused, match="has ended already"):
        end(given, cast["ann"])
    late = give(cast["olaf"], cast["ann"])
    with pytest.raises(Refused, match="has ended already"):
        end(late, cast["olaf"], now=NOW + WEEK)


def test_a_delegation_is_never_edited_or_removed(cast: Cast) -> None:
    given = give(cast["olaf"], cast["ann"])
    for way in (given.save, given.delete, Delegation.objects.all().delete):
        with pytest.raises(AppendOnlyError):
            way()
    with pytest.raises(AppendOnlyError):
        Delegation.objects.update(ends_at=NOW + DAY)


def test_the_database_takes_no_delegation_to_oneself_or_without_a_span(cast: Cast) -> None:
    values = {"user": cast["olaf"], "starts_at": NOW, "why": "x", "given_at": NOW}
    for wrong in ({"deputy": cast["olaf"], "ends_at": NOW + DAY}, {"deputy": cast["ann"], "ends_at": NOW}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Delegation.objects.create(**values, **wrong)


@pytest.fixture
def sign_off(cast: Cast) -> SignOff:
    """Return a sign-off of which only the deploy operator's consent is missing; Mia may decide for Olaf."""
    give(cast["olaf"], cast["mia"])
    made = opened(cast["rita"])
    decide(made, cast["ann"])
    decide(made, cast["abe"])
    cast["mia"].groups.add(Group.objects.get(name="approver"))
    return made


def stand_in(sign_off: SignOff, cast: Cast, **changed: Any) -> Any:
    return decide(sign_off, cast["mia"], "deploy-operator", on_behalf_of=cast["olaf"].pk, **changed)


def test_a_deputys_approval_is_his_own_and_says_for_whom(sign_off: SignOff, cast: Cast) -> None:
    given = stand_in(sign_off, cast)
    assert (given.user, given.printed_name, given.on_behalf_of, given.on_behalf_name) == (
        cast["mia"],
        "Mia",
        cast["olaf"],
        "Olaf",
    )
    assert given.roles == ["deploy-operator"]
    assert given.meaning == (
        f"I have reviewed dhash 1.1.0 to production with digest {DIGEST} and approve it as deploy-operator "
        "on behalf of Olaf."
    )
    assert json.loads(last().body)["data"]["on_behalf_of"] == cast["olaf"].pk
    assert SignOff.objects.get().state == "COMPLETE"


def test_an_own_approval_is_on_nobodys_behalf(sign_off: SignOff, cast: Cast) -> None:
    given = decide(sign_off, cast["olaf"])
    assert (given.on_behalf_of, given.on_behalf_name) == (None, "")
    assert "on_behalf_of" not in json.loads(last().body)["data"]


def test_it_lapses_at_once_when_the_absent_person_loses_the_role(sign_off: SignOff, cast: Cast) -> None:
    stand_in(sign_off, cast)
    cast["olaf"].groups.clear()
    assert ledger.standing(sign_off, now=NOW).missing == ("deploy-operator",)
    with pytest.raises(Refused, match="missing: deploy-operator"):
        ledger.use(sign_off, by=actor(cast["abe"]), now=NOW)


def test_it_lapses_at_once_when_the_absent_person_is_disabled(sign_off: SignOff, cast: Cast) -> None:
    stand_in(sign_off, cast)
    User.objects.filter(pk=cast["olaf"].pk).update(is_active=False)
    assert ledger.standing(sign_off, now=NOW).missing == ("deploy-operator",)


def test_before_and_after_its_time_it_is_refused(cast: Cast) -> None:
    cast["mia"].groups.add(Group.objects.get(name="approver"))
    give(cast["olaf"], cast["mia"], starts_at=NOW + timedelta(minutes=1), ends_at=NOW + timedelta(minutes=2))
    made = opened(cast["rita"])
    for minutes in (0, 2):
        with pytest.raises(Refused, match="Olaf is not out of office"):
            stand_in(made, cast, now=NOW + timedelta(minutes=minutes))
    assert stand_in(made, cast, now=NOW + timedelta(minutes=1)).pk


def test_after_it_was_ended_it_is_refused(sign_off: SignOff, cast: Cast) -> None:
    end(Delegation.objects.get(), cast["olaf"])
    with pytest.raises(Refused, match="Olaf is not out of office"):
        stand_in(sign_off, cast)


def test_roles_of_another_component_are_not_lent(sign_off: SignOff, cast: Cast) -> None:
    Person.objects.filter(user=cast["olaf"]).update(components=["player"])
    with pytest.raises(Refused, match="Olaf holds no role that is asked"):
        stand_in(sign_off, cast)


@pytest.mark.parametrize("kind", ["REJECT", "REVOKE"])
def test_on_anothers_behalf_one_only_approves(sign_off: SignOff, cast: Cast, kind: str) -> None:
    with pytest.raises(Refused, match="one can only approve"):
        stand_in(sign_off, cast, kind=kind)


def test_an_account_that_is_gone_is_stood_in_for_by_nobody(sign_off: SignOff, cast: Cast) -> None:
    with pytest.raises(Refused, match="no longer exists"):
        decide(sign_off, cast["mia"], "deploy-operator", on_behalf_of=999_999)


def test_the_absent_person_takes_it_back(sign_off: SignOff, cast: Cast) -> None:
    stand_in(sign_off, cast)
    decide(sign_off, cast["olaf"], kind="REVOKE")
    assert SignOff.objects.get().state == "OPEN"
