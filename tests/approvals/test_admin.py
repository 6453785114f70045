"""The admin site: accounts are edited by admins and audited; consent can only be read, by a superuser too."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from approvals.models import Decision, SignOff
from monitoring.models import AuditEntry

from .world import decide, opened

Cast = dict[str, User]
ACCOUNT = {"username": "ann", "first_name": "", "last_name": "", "email": "ann@example.com", "is_staff": ""}


@pytest.fixture
def decision(cast: Cast) -> Decision:
    return decide(opened(cast["rita"]), cast["ann"])


def url(model: str, action: str, *args: object) -> str:
    app = "auth" if model == "user" else "approvals"
    return reverse(f"admin:{app}_{model}_{action}", args=args)


def test_admins_read_sign_offs_decisions_and_people(client: Client, cast: Cast, decision: Decision) -> None:
    client.force_login(cast["ada"])
    for model in ("signoff", "decision", "person"):
        assert client.get(url(model, "changelist")).status_code == 200
    assert client.get(url("decision", "change", decision.pk)).status_code == 200


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


def test_an_admin_adds_an_account_and_that_is_audited(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    secret = "correct horse battery"
    client.post(
        url("user", "add"),
        {"username": "zoe", "usable_password": "true", "password1": secret, "password2": secret},
    )
    entry = AuditEntry.objects.get(action="user.added")
    assert entry.subject_id == str(User.objects.get(username="zoe").pk) and entry.actor_id == cast["ada"].pk


def test_an_admin_disables_an_account_and_that_is_audited(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    client.post(url("user", "change", cast["ann"].pk), ACCOUNT)
    assert not User.objects.get(pk=cast["ann"].pk).is_active
    assert '"active":false' in AuditEntry.objects.get(action="user.changed").body


def test_a_password_set_for_another_is_audited(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    secret = "another horse battery"
    answer = client.post(
        reverse("admin:auth_user_password_change", args=[cast["ann"].pk]),
        {"usable_password": "true", "password1": secret, "password2": secret},
    )
    assert answer.status_code == 302
    entry = AuditEntry.objects.get(action="user.password_set")
    assert (entry.actor_id, entry.subject_id) == (cast["ada"].pk, str(cast["ann"].pk))


def test_no_admin_changes_the_own_account_there(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    assert client.post(url("user", "change", cast["ada"].pk), {**ACCOUNT, "username": "ada"}).status_code == 403


def test_nobody_makes_himself_superuser_or_gives_groups_there(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    client.post(
        url("user", "change", cast["ann"].pk), {**ACCOUNT, "is_active": "on", "is_superuser": "on", "groups": [1, 2, 3]}
    )
    ann = User.objects.get(pk=cast["ann"].pk)
    assert not ann.is_superuser and [group.name for group in ann.groups.all()] == ["approver"]


def test_no_account_is_removed(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    assert client.post(url("user", "delete", cast["otto"].pk), {"post": "yes"}).status_code == 403
    assert User.objects.filter(username="otto").exists()
