"""A new password: known to the person alone, though two admins brought him to it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import changes, handover
from approvals.models import Change
from approvals.proof import Refused
from monitoring.models import AuditEntry
from tests.base import Client

from .people_world import asker, password_proposed, proposed, with_roles
from .world import NOW, actor

Cast = dict[str, User]
NEW = "a password of my own"


@pytest.fixture
def change(cast: Cast) -> Change:
    """Return a confirmed change: ann chooses a new password."""
    made = password_proposed(cast["ada"], cast["ann"])
    changes.confirm(made, asker=asker(cast["ari"]))
    return made


def choose(change: Change, code: str = "", password: str = NEW) -> None:
    by = actor(change.user)
    handover.choose(change, code=code or handover.code_of(change), password=password, by=by, now=NOW)


def opens(name: str, password: str) -> bool:
    return User.objects.get(username=name).check_password(password)


def test_the_old_password_ends_when_it_is_confirmed(cast: Cast) -> None:
    made = password_proposed(cast["ada"], cast["ann"])
    assert User.objects.get(username="ann").has_usable_password()
    changes.confirm(made, asker=asker(cast["ari"]))
    assert not User.objects.get(username="ann").has_usable_password()


def test_sessions_end_with_the_old_password(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    assert client.get(reverse("dashboard")).status_code == 200
    changes.confirm(password_proposed(cast["ada"], cast["ann"]), asker=asker(cast["ari"]))
    assert client.get(reverse("dashboard")).status_code == 302


def test_with_link_and_code_a_person_chooses_a_password(client: Client, change: Change) -> None:
    found = handover.change_of(handover.token_of(change), now=NOW)
    assert found == change
    choose(change)
    assert opens("ann", NEW) and AuditEntry.objects.filter(action="user.password_chosen").count() == 1


@pytest.mark.parametrize("code", ["x", "aaaa-aaaa-aaaa", "é"])
def test_the_link_alone_opens_nothing_and_a_wrong_code_is_audited(change: Change, code: str) -> None:
    with pytest.raises(Refused, match="not the code"):
        choose(change, code=code)
    assert not opens("ann", NEW) and AuditEntry.objects.filter(action="user.password_code_failed").count() == 1


def test_a_code_may_be_typed_without_hyphens_and_in_capitals(change: Change) -> None:
    choose(change, code=handover.code_of(change).replace("-", " ").upper())
    assert opens("ann", NEW)


def test_it_works_once(change: Change) -> None:
    choose(change)
    with pytest.raises(Refused, match="was used"):
        choose(change, password="another password of mine")
    assert opens("ann", NEW) and handover.change_of(handover.token_of(change), now=NOW) is None


def test_it_works_for_a_day(change: Change) -> None:
    token = handover.token_of(change)
    assert handover.change_of(token, now=NOW + handover.VALID - timedelta(seconds=1))
    assert handover.change_of(token, now=NOW + handover.VALID) is None


def test_nothing_opens_before_it_is_confirmed(cast: Cast) -> None:
    made = password_proposed(cast["ada"], cast["ann"])
    User.objects.filter(username="ann").update(password="!")
    assert handover.change_of(handover.token_of(made), now=NOW) is None


def test_a_newer_link_takes_the_place_of_an_older_one(cast: Cast, change: Change) -> None:
    newer = password_proposed(cast["ada"], cast["ann"])
    changes.confirm(newer, asker=asker(cast["ari"]))
    assert handover.change_of(handover.token_of(change), now=NOW) is None
    assert handover.change_of(handover.token_of(newer), now=NOW) == newer


def test_a_closed_account_is_not_opened_by_its_link(cast: Cast, change: Change) -> None:
    changes.disable(cast["ann"], why="left", asker=asker(cast["ada"]))
    assert handover.change_of(handover.token_of(change), now=NOW) is None


def test_a_change_of_rights_has_no_link(cast: Cast) -> None:
    made = proposed(cast["ada"], cast["ann"], "triage")
    changes.confirm(made, asker=asker(cast["ari"]))
    User.objects.filter(username="ann").update(password="!")
    assert handover.change_of(handover.token_of(made), now=NOW) is None


@pytest.mark.parametrize("token", ["", "x", "1", "-", "1-", "99999999999999999999-x", "²-x", "0-x"])
def test_what_is_no_link_opens_nothing(change: Change, token: str) -> None:
    assert handover.change_of(token, now=NOW) is None


def test_a_link_is_good_for_its_own_change_only(cast: Cast, change: Change) -> None:
    other = password_proposed(cast["ada"], cast["tom"])
    changes.confirm(other, asker=asker(cast["ari"]))
    mixed = f"{other.pk}-{handover.token_of(change).partition('-')[2]}"
    assert handover.change_of(mixed, now=NOW) is None
    assert handover.code_of(change) != handover.code_of(other)


def test_a_new_person_comes_in_with_link_and_code(cast: Cast) -> None:
    rights = with_roles(cast["tom"], "triage", email="zoe@example.com")
    made = changes.add_person(username="zoe", name="Zoe", rights=rights, why="joins", asker=asker(cast["ada"]))
    changes.confirm(made, asker=asker(cast["ari"]))
    choose(made)
    assert opens("zoe", NEW) and User.objects.get(username="zoe").groups.get().name == "triage"
