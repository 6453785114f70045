"""A lost second step is reset by two admins, and the person hears of it."""

import json
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from approvals import changes, factors
from approvals.models import Change
from approvals.proof import Refused
from monitoring.models import AuditEntry
from tests.base import Client

from .app import SECRET, app_code
from .people_world import asker
from .world import DAY, NOW, actor

Cast = dict[str, User]


@pytest.fixture
def lost(cast: Cast) -> Change:
    """Return the proposal to reset ann's second step: an app and its recovery codes."""
    factors.add_app(cast["ann"], SECRET, app_code(NOW), by=actor(cast["ann"]), now=NOW)
    factors.make_recovery_codes(cast["ann"], by=actor(cast["ann"]), now=NOW)
    Authenticator.objects.update(created_at=NOW - DAY)
    return changes.propose(cast["ann"], None, kind="FACTORS", why="phone drowned", asker=asker(cast["ada"]))


def test_a_lost_second_step_is_reset_by_two(cast: Cast, lost: Change) -> None:
    assert Authenticator.objects.count() == 2
    changes.confirm(lost, asker=asker(cast["ari"]))
    assert not Authenticator.objects.exists()
    assert json.loads(AuditEntry.objects.get(action="user.factors_reset").body)["data"]["removed"] == [
        "recovery_codes",
        "totp",
    ]


def test_sessions_end_with_the_second_step(client: Client, cast: Cast, lost: Change) -> None:
    client.force_login(cast["ann"])
    changes.confirm(lost, asker=asker(cast["ari"]))
    assert client.get("/").status_code == 302


def test_others_keep_theirs_and_their_sessions(client: Client, cast: Cast, lost: Change) -> None:
    factors.add_app(cast["tom"], SECRET, app_code(NOW), by=actor(cast["tom"]), now=NOW)
    client.force_login(cast["tom"])
    changes.confirm(lost, asker=asker(cast["ari"]))
    assert Authenticator.objects.get().user == cast["tom"] and client.get("/").status_code == 200


@pytest.mark.parametrize("column", ["created_at", "last_used_at"])
def test_a_second_step_that_was_found_again_is_not_reset(cast: Cast, lost: Change, column: str) -> None:
    Authenticator.objects.filter(type="totp").update(**{column: NOW + timedelta(minutes=1)})
    with pytest.raises(Refused, match="changed meanwhile"):
        changes.confirm(lost, asker=asker(cast["ari"]))


def test_who_has_no_second_step_loses_none(cast: Cast) -> None:
    with pytest.raises(Refused, match="no second step"):
        changes.propose(cast["tom"], None, kind="FACTORS", why="x", asker=asker(cast["ada"]))


def test_a_closed_account_has_no_session_left_when_it_is_opened_again(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    changes.disable(cast["ann"], why="left", asker=asker(cast["ada"]))
    User.objects.filter(pk=cast["ann"].pk).update(is_active=True)
    assert client.get("/").status_code == 302


def test_the_person_finds_what_was_done_to_the_account(client: Client, cast: Cast, lost: Change) -> None:
    changes.confirm(lost, asker=asker(cast["ari"]))
    client.force_login(cast["ann"])
    assert "phone drowned" in client.get("/inbox/").content.decode()


def test_an_account_is_closed_once(cast: Cast) -> None:
    changes.disable(cast["ann"], why="left", asker=asker(cast["ada"]))
    with pytest.raises(Refused, match="closed already"):
        changes.disable(cast["ann"], why="left", asker=asker(cast["ari"]))
    assert AuditEntry.objects.filter(action="person.rights_changed").count() == 1
