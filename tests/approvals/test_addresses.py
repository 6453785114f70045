"""Whose an address is: nobody takes the commits of another person over by entering her address."""

import pytest
from django.contrib.auth.models import User

from approvals import addresses, changes, roles
from approvals.change_rules import waiting
from approvals.models import Change, Person
from approvals.proof import Refused
from approvals.views_changes import _differences
from monitoring.models import Notice

from .people_world import asker, proposed, with_roles
from .world import NOW

Cast = dict[str, User]


def owners(*emails: str) -> dict[str, frozenset[int]]:
    return addresses.users_by_commit_email(emails)


def newcomer(cast: Cast, email: str, username: str = "zoe") -> Change:
    rights = with_roles(cast["otto"], "triage", email=email)
    return changes.add_person(username=username, name="Zoe Zed", rights=rights, why="joined", asker=asker(cast["ada"]))


def test_commit_authors_are_matched_by_any_address_without_case(cast: Cast) -> None:
    Person.objects.filter(user=cast["ann"]).update(commit_emails=["Ann@Work.example"])
    found = owners(" ann@work.example", "OTTO@example.com", "zed@example.org", "")
    assert found == {"ann@work.example": {cast["ann"].pk}, "otto@example.com": {cast["otto"].pk}}


def test_an_address_that_two_own_is_of_both(cast: Cast) -> None:
    Person.objects.filter(user=cast["otto"]).update(commit_emails=["ann@example.com"])
    assert owners("ann@example.com") == {"ann@example.com": {cast["ann"].pk, cast["otto"].pk}}


def test_a_proposed_account_owns_no_address_before_it_is_confirmed(cast: Cast) -> None:
    change = newcomer(cast, "zoe@example.org")
    assert owners("zoe@example.org") == {} and change.user.email == ""
    changes.confirm(change, asker=asker(cast["ari"]))
    assert owners("zoe@example.org") == {"zoe@example.org": {change.user_id}}


def test_whoever_confirms_a_new_account_reads_its_address(cast: Cast) -> None:
    rows = {one.label: one.after for one in _differences(waiting(newcomer(cast, "zoe@example.org"), NOW))}
    assert rows[roles.LABELS["email"]] == "zoe@example.org"


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@Example.com", "ann@work.example"])
def test_no_account_is_proposed_with_an_address_of_somebody_else(cast: Cast, email: str) -> None:
    Person.objects.filter(user=cast["ann"]).update(commit_emails=["ann@work.example"])
    with pytest.raises(Refused, match=r"is an address of Ann \(ann\)"):
        newcomer(cast, email)
    assert not User.objects.filter(username="zoe").exists()


def test_no_commit_address_of_a_disabled_person_goes_to_another(cast: Cast) -> None:
    User.objects.filter(pk=cast["abe"].pk).update(is_active=False)
    with pytest.raises(Refused, match="an address of Abe"):
        proposed(cast["ada"], cast["ann"], "approver", commit_emails=("abe@example.com",))


def test_an_address_that_two_proposals_name_goes_to_the_first_that_is_confirmed(cast: Cast) -> None:
    first, second = newcomer(cast, "zoe@example.org"), proposed(cast["ada"], cast["ann"], email="zoe@example.org")
    changes.confirm(second, asker=asker(cast["ari"]))
    with pytest.raises(Refused, match="an address of Ann"):
        changes.confirm(first, asker=asker(cast["ari"]))
    assert owners("zoe@example.org") == {"zoe@example.org": {cast["ann"].pk}}


def test_an_address_that_two_own_already_keeps_no_other_change_out(cast: Cast) -> None:
    Person.objects.filter(user=cast["otto"]).update(commit_emails=["ann@example.com"])
    changes.confirm(proposed(cast["ada"], cast["ann"], "triage"), asker=asker(cast["ari"]))
    assert roles.rights_of(cast["ann"]).roles == {"triage"}


def test_a_person_without_an_address_is_not_written_to(cast: Cast, settings) -> None:
    settings.GR_EMAIL_TO = ["team@example.com"]
    change = newcomer(cast, "zoe@example.org")
    assert not Notice.objects.filter(event="change_proposed", channel="person").exists()
    changes.confirm(change, asker=asker(cast["ari"]))
    assert Notice.objects.filter(event="change_confirmed", channel="person").exists()
