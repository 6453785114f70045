"""Who may do what: by right and by person, as policy and roles of now say."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from approvals import delegation, ledger
from approvals.models import Person
from approvals.rules import Policy
from rollout.models import Target
from rollout.views import who
from tests.factories import NOW, actor, later

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


def names(title: str, policy: Policy | None = None) -> list[str]:
    """Return who has a right over dhash now."""
    found = {right.title: right for right in who.rights(policy or Policy(), ledger.members("dhash"))}
    return [member.name for member in found[title].people]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Prepare and submit", ["Rita"]),
        ("Approve as ops", ["Abe"]),
        ("Approve as approver", ["Abe", "Ann"]),
        ("Approve as deploy-operator", ["Olaf"]),
        ("Start", ["Abe", "Olaf"]),
        ("Abort, roll back, decide what is unknown", ["Abe", "Olaf", "Tom"]),
        ("Confirm a configuration", ["Ada", "Ari"]),
    ],
)
def test_a_right_names_those_who_have_it(cast: Cast, title: str, expected: list[str]) -> None:
    assert names(title) == expected


def test_the_golden_seat_is_there_where_the_policy_asks_for_it(cast: Cast) -> None:
    assert names("Approve as media-eng", replace(Policy(), requires_golden=True)) == ["Mia"]
    with pytest.raises(KeyError):
        names("Approve as media-eng")


def test_a_disabled_person_has_no_right(cast: Cast) -> None:
    User.objects.filter(pk=cast["abe"].pk).update(is_active=False)
    assert names("Approve as ops") == [] and names("Start") == ["Olaf"]


def test_a_person_of_another_component_has_no_right_here(cast: Cast) -> None:
    Person.objects.filter(user=cast["ann"]).update(components=["player"])
    assert names("Approve as approver") == ["Abe"]


def test_a_deputy_stands_beside_those_whom_he_stands_in_for(cast: Cast) -> None:
    span = {"starts_at": NOW, "ends_at": later(3600), "why": "dentist", "now": NOW}
    delegation.give(cast["ann"], cast["abe"], by=actor(cast["ann"]), **span)
    found = {right.title: right for right in who.rights(Policy(), ledger.members("dhash", now=later(60)))}
    held = [(one.name, one.instead_of) for one in found["Approve as approver"].people]
    assert held == [("Abe", ""), ("Ann", ""), ("Abe", "Ann")]
    assert not any(one.instead_of for one in found["Start"].people)


def test_a_right_that_nobody_has_stands_out(client: Client, cast: Cast, target: Target) -> None:
    cast["olaf"].groups.clear()
    client.force_login(cast["aud"])
    page = client.get(reverse("who")).content.decode()
    assert "nobody" in page and "Approve as deploy-operator" in page


def test_the_page_says_it_by_person_too(client: Client, cast: Cast, target: Target) -> None:
    client.force_login(cast["aud"])
    page = client.get(reverse("who")).content.decode()
    assert "Start · Break the glass" in page and "Ada, Ari" in page


@pytest.mark.parametrize(("name", "status"), [("aud", 200), ("rita", 200), ("otto", 403)])
def test_it_is_for_everybody_with_a_role(client: Client, cast: Cast, name: str, status: int) -> None:
    client.force_login(cast[name])
    assert client.get(reverse("who")).status_code == status
