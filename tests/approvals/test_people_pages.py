"""The people pages: who sees them, who may change what about whom."""

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import reverse

from approvals import ledger, stepup
from approvals.models import Change, Person
from monitoring.models import AuditEntry
from tests.base import Client, make_user

Cast = dict[str, User]
RIGHTS = {
    **{"part": "rights", "active": "on", "email": "ann@example.com", "roles": ["triage"]},
    **{"components": "", "commit_emails": "", "why": "new on call"},
}


def person_page(user: User) -> str:
    return reverse("person", args=[user.pk])


def post(client: Client, who: User, about: User, **fields: object) -> HttpResponse:
    client.force_login(who)
    return client.post(person_page(about), fields)


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-seq")[0]


def test_the_table_shows_every_person_and_role(client: Client, cast: Cast) -> None:
    client.force_login(cast["aud"])
    page = client.get(reverse("people")).content.decode()
    assert all(name.title() in page for name in cast)
    assert "deploy-operator" in page


def test_the_table_costs_the_same_for_any_number_of_people(
    client: Client, cast: Cast, django_assert_max_num_queries
) -> None:
    client.force_login(cast["aud"])
    with django_assert_max_num_queries(12):  # one of them asks how old the session is
        client.get(reverse("people"))


def test_the_table_is_closed_to_outsiders(client: Client, cast: Cast) -> None:
    client.force_login(cast["otto"])
    assert client.get(reverse("people")).status_code == 403


def test_a_page_is_for_its_person_and_for_admins(client: Client, cast: Cast) -> None:
    for name, status in (("ann", 200), ("ada", 200), ("abe", 403), ("otto", 403)):
        client.force_login(cast[name])
        assert client.get(person_page(cast["ann"])).status_code == status


def test_everyone_sets_the_own_printed_name_and_zone(client: Client, cast: Cast) -> None:
    post(client, cast["ann"], cast["ann"], part="profile", printed_name="Ann Approver", zone="Europe/Berlin")
    person = Person.objects.get(user=cast["ann"])
    assert (person.printed_name, person.zone) == ("Ann Approver", "Europe/Berlin")
    assert last().action == "person.changed" and "Ann Approver" not in last().body


@pytest.mark.parametrize("zone", ["Middle/Earth", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_a_zone_that_nobody_knows_is_refused(client: Client, cast: Cast, zone: str) -> None:
    answer = post(client, cast["ann"], cast["ann"], part="profile", printed_name="Ann", zone=zone)
    assert answer.status_code == 200 and b"Expected the name of a time zone" in answer.content
    assert Person.objects.get(user=cast["ann"]).zone == "UTC"


@pytest.mark.parametrize("name", ["ada", "abe"])
def test_nobody_sets_the_printed_name_of_another(client: Client, cast: Cast, name: str) -> None:
    answer = post(client, cast[name], cast["ann"], part="profile", printed_name="Abe Osei", zone="UTC")
    assert answer.status_code == 403 and Person.objects.get(user=cast["ann"]).printed_name == "Ann"


def test_what_an_admin_enters_is_a_proposal_and_changes_nothing(client: Client, cast: Cast) -> None:
    answer = post(client, cast["ada"], cast["ann"], **RIGHTS)
    assert answer.status_code == 302 and Change.objects.get().user == cast["ann"]
    assert ledger.current_roles(cast["ann"], "dhash") == {"approver"}


def test_what_is_no_address_is_refused(client: Client, cast: Cast) -> None:
    answer = post(client, cast["ada"], cast["ann"], **{**RIGHTS, "commit_emails": "ann"})
    assert b"valid email" in answer.content and not Change.objects.exists()


@pytest.mark.parametrize("part", ["rights", "password", "disable"])
def test_a_change_needs_a_reason(client: Client, cast: Cast, part: str) -> None:
    post(client, cast["ada"], cast["ann"], **{**RIGHTS, "part": part, "why": " "})
    assert not Change.objects.exists() and User.objects.get(pk=cast["ann"].pk).is_active


@pytest.mark.parametrize("part", ["rights", "password", "disable"])
def test_nobody_changes_himself(client: Client, cast: Cast, part: str) -> None:
    answer = post(client, cast["ada"], cast["ada"], **{**RIGHTS, "part": part, "roles": ["admin", "approver"]})
    assert answer.status_code == 403 and not Change.objects.exists()


@pytest.mark.parametrize("part", ["rights", "password", "disable"])
@pytest.mark.parametrize("name", ["abe", "ann", "olaf", "aud", "otto"])
def test_who_is_no_admin_proposes_nothing(client: Client, cast: Cast, part: str, name: str) -> None:
    assert post(client, cast[name], cast["ann"], **{**RIGHTS, "part": part}).status_code == 403
    assert not Change.objects.exists() and User.objects.get(pk=cast["ann"].pk).is_active


@pytest.mark.parametrize("part", ["rights", "password", "disable"])
def test_a_proposal_needs_a_recent_password(client: Client, cast: Cast, part: str) -> None:
    client.force_login(cast["ada"])
    session = client.session
    session[stepup.KEY] = "2020-01-01T00:00:00+00:00"
    session.save()
    answer = client.post(person_page(cast["ann"]), {**RIGHTS, "part": part})
    assert b"Enter your password again" in answer.content
    assert not Change.objects.exists() and User.objects.get(pk=cast["ann"].pk).is_active


def test_the_same_rights_again_are_no_change(client: Client, cast: Cast) -> None:
    answer = post(client, cast["ada"], cast["tom"], **{**RIGHTS, "email": "tom@example.com"})
    assert b"Nothing differs" in answer.content and not Change.objects.exists()


def test_a_person_is_added_closed_and_without_a_role(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    client.post(
        reverse("person_new"), {**RIGHTS, "username": "zoe", "printed_name": "Zoe Zed", "email": "z@example.com"}
    )
    zoe = User.objects.get(username="zoe")
    assert not zoe.is_active and not zoe.has_usable_password() and not zoe.groups.exists()
    assert Change.objects.get().kind == "ACCOUNT"


@pytest.mark.parametrize("name", ["abe", "rita", "aud", "otto"])
def test_only_an_admin_adds_a_person(client: Client, cast: Cast, name: str) -> None:
    client.force_login(cast[name])
    values = {**RIGHTS, "username": "zoe", "printed_name": "Zoe Zed"}
    assert client.post(reverse("person_new"), values).status_code == 403
    assert not User.objects.filter(username="zoe").exists()


def test_the_only_admin_is_told_what_to_do(client: Client, cast: Cast) -> None:
    User.objects.filter(pk=cast["ari"].pk).update(is_active=False)
    client.force_login(cast["ada"])
    assert "manage.py add_admin USER --as ada" in client.get(reverse("people")).content.decode()


def test_three_admins_are_not_warned(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    assert "few-admins" in client.get(reverse("people")).content.decode()
    make_user("eve", "admin")
    assert "few-admins" not in client.get(reverse("people")).content.decode()
