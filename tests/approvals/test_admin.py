"""The admin site: people and consent can be read there, by admins; a superuser edits nothing either."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import ledger
from approvals.models import Decision, SignOff
from tests.base import Client

from .world import decide, opened

Cast = dict[str, User]
ACCOUNT = {"username": "ann", "first_name": "", "last_name": "", "email": "ann@example.com", "is_staff": ""}
SECRET = "another horse battery"


@pytest.fixture
def decision(cast: Cast) -> Decision:
    return decide(opened(cast["rita"]), cast["ann"])


def url(model: str, action: str, *args: object) -> str:
    app = "auth" if model in ("user", "group") else "approvals"
    return reverse(f"admin:{app}_{model}_{action}", args=args)


def test_admins_read_sign_offs_decisions_and_people(client: Client, cast: Cast, decision: Decision) -> None:
    client.force_login(cast["ada"])
    for model in ("signoff", "decision", "person"):
        assert client.get(url(model, "changelist")).status_code == 200
    assert client.get(url("decision", "change", decision.pk)).status_code == 200


@pytest.mark.parametrize("table", ["mfa/authenticator", "account/emailaddress", "socialaccount/socialaccount"])
def test_no_table_of_second_factors_is_there_not_even_for_a_superuser(client: Client, cast: Cast, table: str) -> None:
    User.objects.filter(pk=cast["ada"].pk).update(is_superuser=True)
    client.force_login(cast["ada"])
    assert client.get(f"/admin/{table}/").status_code == 404


@pytest.mark.parametrize("superuser", [False, True])
def test_nobody_adds_changes_or_removes_consent(
    client: Client, cast: Cast, decision: Decision, superuser: bool
) -> None:
    User.objects.filter(pk=cast["ada"].pk).update(is_superuser=superuser)
    client.force_login(cast["ada"])
    for model, pk in (("decision", decision.pk), ("signoff", decision.sign_off_id)):
        assert client.post(url(model, "add"), {}).status_code == 403
        assert client.post(url(model, "change", pk), {"kind": "REJECT"}).status_code == 403
        assert client.post(url(model, "delete", pk), {"post": "yes"}).status_code == 403
    assert Decision.objects.get().kind == "APPROVE" and SignOff.objects.count() == 1


@pytest.mark.parametrize("superuser", [False, True])
@pytest.mark.parametrize("name", ["ada", "abe", "otto"])
def test_nobody_changes_an_account_or_a_group_there(client: Client, cast: Cast, name: str, superuser: bool) -> None:
    """Not groups, not is_active, not a password, not a new account: each is a door past the second admin."""
    User.objects.filter(pk=cast[name].pk).update(is_superuser=superuser, is_staff=True)
    client.force_login(cast[name])
    before = list(User.objects.order_by("pk").values())
    ann = cast["ann"].pk
    assert client.post(url("user", "add"), {**ACCOUNT, "username": "zoe"}).status_code == 403
    assert (
        client.post(url("user", "change", ann), {**ACCOUNT, "is_superuser": "on", "groups": [1, 2]}).status_code == 403
    )
    assert client.post(url("user", "delete", ann), {"post": "yes"}).status_code == 403
    assert (
        client.post(f"/admin/auth/user/{ann}/password/", {"password1": SECRET, "password2": SECRET}).status_code != 200
    )
    assert client.post(url("group", "change", 1), {"name": "admin", "permissions": []}).status_code == 403
    assert list(User.objects.order_by("pk").values()) == before
    assert ledger.current_roles(cast["ann"], "dhash") == {"approver"}


def test_admins_read_accounts_and_no_password_hash(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    page = client.get(url("user", "change", cast["ann"].pk)).content.decode()
    assert "ann@example.com" in page and cast["ann"].password not in page and "algorithm" not in page
