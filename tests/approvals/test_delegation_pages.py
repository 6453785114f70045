"""The pages of being out of office: who sees them, what they take, what they say."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from approvals import delegation, stepup
from approvals.models import Delegation
from tests.base import Client

from .world import actor

Cast = dict[str, User]
URL = "/delegations/"


def sent(deputy: User, **changed: object) -> dict[str, object]:
    now = timezone.now()
    span = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(days=7)).isoformat()}
    return {"deputy": deputy.pk, "why": "on holiday", **span, **changed}


def given(user: User, deputy: User) -> Delegation:
    now = timezone.now()
    return delegation.give(
        user, deputy, starts_at=now, ends_at=now + timedelta(days=7), why="on holiday", by=actor(user), now=now
    )


def post(client: Client, who: User, deputy: User, **changed: object) -> HttpResponse:
    client.force_login(who)
    return client.post(URL, sent(deputy, **changed))


def test_a_deputy_is_named_on_the_page(client: Client, cast: Cast) -> None:
    assert post(client, cast["olaf"], cast["ann"]).status_code == 302
    made = Delegation.objects.get()
    assert (made.user, made.deputy, made.why) == (cast["olaf"], cast["ann"], "on holiday")


def test_it_needs_a_recent_proof(client: Client, cast: Cast) -> None:
    client.force_login(cast["olaf"])
    session = client.session
    session[stepup.KEY] = "2020-01-01T00:00:00+00:00"
    session.save()
    answer = client.post(URL, sent(cast["ann"]))
    assert answer.status_code == 422 and b"confirm that it is you" in answer.content
    assert not Delegation.objects.exists()


def test_a_refusal_is_said_on_the_form(client: Client, cast: Cast) -> None:
    given(cast["ann"], cast["abe"])
    answer = post(client, cast["olaf"], cast["ann"])
    assert answer.status_code == 422 and b"Ann is out of office as well" in answer.content


@pytest.mark.parametrize("name", ["olaf", "rita"])
def test_oneself_and_who_is_never_asked_are_not_offered(client: Client, cast: Cast, name: str) -> None:
    assert post(client, cast["olaf"], cast[name]).status_code == 422
    assert not Delegation.objects.exists()


def test_everybody_with_a_role_sees_who_stands_in_for_whom(client: Client, cast: Cast) -> None:
    given(cast["olaf"], cast["ann"])
    client.force_login(cast["aud"])
    page = client.get(URL).content.decode()
    assert "Ann" in page and "for <bdi>Olaf</bdi>" in page and "on holiday" in page


def test_who_is_asked_for_no_consent_is_offered_no_form(client: Client, cast: Cast) -> None:
    for name, offered in (("aud", False), ("olaf", True)):
        client.force_login(cast[name])
        assert ("Choose a person" in client.get(URL).content.decode()) is offered


def test_an_outsider_does_not(client: Client, cast: Cast) -> None:
    client.force_login(cast["otto"])
    assert client.get(URL).status_code == 403


@pytest.mark.parametrize(("name", "ends"), [("olaf", True), ("ann", True), ("ada", True), ("abe", False)])
def test_it_is_ended_by_those_whom_it_concerns_and_an_admin(client: Client, cast: Cast, name: str, ends: bool) -> None:
    made = given(cast["olaf"], cast["ann"])
    client.force_login(cast[name])
    page = reverse("delegation_end", args=[made.pk])
    assert (page in client.get(URL).content.decode()) is ends
    answer = client.post(page, follow=True)
    made.refresh_from_db()
    assert (made.ended_at is not None) is ends
    assert (b"Ended." if ends else b"ended by whoever gave it") in answer.content


def test_what_is_over_is_kept(client: Client, cast: Cast) -> None:
    made = given(cast["olaf"], cast["ann"])
    delegation.end(made, user=cast["olaf"], why="back early", by=actor(cast["olaf"]), now=timezone.now())
    client.force_login(cast["ann"])
    assert "ended early: back early" in client.get(URL).content.decode()
