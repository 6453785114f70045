"""Sign-ins reach the audit, and a sign-in is a proof like a password re-entry."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from approvals import stepup
from monitoring.models import AuditEntry
from tests.base import PASSWORD

Cast = dict[str, User]


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-seq")[0]


def sign_in(client: Client, name: str, password: str = PASSWORD) -> None:
    client.post(reverse("login"), {"username": name, "password": password, "next": "/people/"}, REMOTE_ADDR="192.0.2.7")


def test_a_sign_in_is_audited_with_address(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    assert (last().action, last().actor_id, last().actor_name) == ("user.signed_in", cast["ann"].pk, "ann")
    assert '"address":"192.0.2.7"' in last().person


def test_a_sign_in_counts_as_recent_proof(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    assert stepup.KEY in client.session


def test_a_sign_out_is_audited(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    client.post(reverse("logout"))
    assert (last().action, last().subject_id) == ("user.signed_out", str(cast["ann"].pk))


@pytest.mark.django_db
def test_a_sign_out_of_nobody_is_not_audited(client: Client) -> None:
    client.post(reverse("logout"))
    assert not AuditEntry.objects.exists()


def test_a_failed_sign_in_is_audited_under_the_account(client: Client, cast: Cast) -> None:
    sign_in(client, "ann", "guess")
    assert (last().action, last().actor_id, last().actor_name) == ("user.sign_in_failed", None, "ann")
    assert last().subject_id == str(cast["ann"].pk)


def test_what_was_typed_into_the_wrong_field_is_not_kept(client: Client, cast: Cast) -> None:
    sign_in(client, "my secret password", "ann")
    assert last().actor_name == "unknown account"
    assert "secret" not in last().body + last().person


def test_a_sign_out_leaves_no_proof_behind(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    client.post(reverse("logout"))
    assert stepup.KEY not in client.session
