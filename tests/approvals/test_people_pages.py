"""The people pages: who sees them, who may change what about whom."""

import json

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from approvals import ledger, roles, stepup
from approvals.models import Person
from approvals.proof import Refused
from approvals.roles import Rights
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry

from .world import NOW, actor

Cast = dict[str, User]
RIGHTS = {"part": "rights", "roles": ["triage"], "components": "", "commit_emails": "", "why": "new on call"}


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
    with django_assert_max_num_queries(8):
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


def test_an_admin_gives_roles_and_the_audit_tells_old_and_new(client: Client, cast: Cast) -> None:
    post(client, cast["ada"], cast["ann"], **RIGHTS)
    assert ledger.current_roles(cast["ann"], "dhash") == {"triage"}
    assert (last().action, last().why) == ("person.rights_changed", "new on call")
    data = json.loads(last().body)["data"]
    assert (data["old"]["roles"], data["new"]["roles"]) == (["approver"], ["triage"])


def test_commit_addresses_are_set_and_counted_in_the_audit_but_not_written_there(client: Client, cast: Cast) -> None:
    post(client, cast["ada"], cast["ann"], **{**RIGHTS, "commit_emails": "ann@work.example\nann@home.example"})
    assert Person.objects.get(user=cast["ann"]).commit_emails == ["ann@work.example", "ann@home.example"]
    assert json.loads(last().body)["data"]["new"]["commit_emails"] == 2
    assert "work.example" not in last().body


def test_what_is_no_address_is_refused(client: Client, cast: Cast) -> None:
    answer = post(client, cast["ada"], cast["ann"], **{**RIGHTS, "commit_emails": "ann"})
    assert b"valid email" in answer.content and Person.objects.get(user=cast["ann"]).commit_emails == []


def test_a_change_of_rights_needs_a_reason(client: Client, cast: Cast) -> None:
    post(client, cast["ada"], cast["ann"], **{**RIGHTS, "why": ""})
    assert ledger.current_roles(cast["ann"], "dhash") == {"approver"}


def test_nobody_changes_the_own_rights(client: Client, cast: Cast) -> None:
    answer = post(client, cast["ada"], cast["ada"], **{**RIGHTS, "roles": ["admin", "approver"]})
    assert answer.status_code == 403
    assert ledger.current_roles(cast["ada"], "dhash") == {"admin"}


def test_who_is_no_admin_gives_no_roles(client: Client, cast: Cast) -> None:
    assert post(client, cast["abe"], cast["ann"], **RIGHTS).status_code == 403
    assert post(client, cast["ann"], cast["ann"], **RIGHTS).status_code == 403
    assert ledger.current_roles(cast["ann"], "dhash") == {"approver"}


def test_a_change_of_rights_needs_a_recent_password(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    session = client.session
    session[stepup.KEY] = "2020-01-01T00:00:00+00:00"
    session.save()
    answer = client.post(person_page(cast["ann"]), RIGHTS)
    assert b"Not saved: confirm that it is you" in answer.content
    assert ledger.current_roles(cast["ann"], "dhash") == {"approver"}


def test_the_last_active_admin_stays_admin(cast: Cast) -> None:
    User.objects.filter(pk=cast["ari"].pk).update(is_active=False)
    nobody = Rights(roles=frozenset(), components=(), commit_emails=())
    with pytest.raises(Refused, match="last active admin"):
        roles.set_rights(cast["ada"], nobody, why="leaves", by=SYSTEM, now=NOW)
    assert ledger.current_roles(cast["ada"], "dhash") == {"admin"}


def test_the_rules_refuse_own_rights_whatever_the_page_does(cast: Cast) -> None:
    more = Rights(roles=frozenset({"admin", "approver"}), components=(), commit_emails=())
    with pytest.raises(Refused, match="Another admin"):
        roles.set_rights(cast["ada"], more, why="", by=actor(cast["ada"]), now=NOW)


def test_the_same_rights_again_are_no_change(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    before = AuditEntry.objects.count()
    client.post(person_page(cast["tom"]), RIGHTS)
    assert AuditEntry.objects.count() == before
