"""Password re-entry: what it proves, how long, and how often one may be wrong."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import reverse

from approvals import stepup
from monitoring.models import AuditEntry
from tests.base import PASSWORD, Client

from .world import NOW

Cast = dict[str, User]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def request_of_ann(cast: Cast, rf: RequestFactory) -> HttpRequest:
    request = rf.post("/confirm/", REMOTE_ADDR="192.0.2.7")
    request.user, request.session = cast["ann"], SessionStore()
    request.session.create()
    return request


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_the_right_password_counts_for_five_minutes(request_of_ann: HttpRequest) -> None:
    assert stepup.confirm(request_of_ann, PASSWORD, now=NOW)
    assert stepup.authenticated_at(request_of_ann) == NOW and actions() == ["user.password_confirmed"]
    assert stepup.is_recent(request_of_ann, now=NOW + 5 * MINUTE)
    assert not stepup.is_recent(request_of_ann, now=NOW + 5 * MINUTE + timedelta(seconds=1))


def test_a_proof_from_the_future_does_not_count(request_of_ann: HttpRequest) -> None:
    stepup.remember(request_of_ann, now=NOW + 2 * MINUTE)
    assert not stepup.is_recent(request_of_ann, now=NOW)


@pytest.mark.parametrize("kept", ["", "yesterday", "2026-11-23T12:00:00", 7, None])
def test_a_session_that_does_not_know_proves_nothing(request_of_ann: HttpRequest, kept: object) -> None:
    request_of_ann.session[stepup.KEY] = kept
    assert stepup.authenticated_at(request_of_ann) is None
    assert not stepup.is_recent(request_of_ann, now=NOW)


def test_a_right_password_changes_the_session_key(request_of_ann: HttpRequest) -> None:
    before = request_of_ann.session.session_key
    stepup.confirm(request_of_ann, PASSWORD, now=NOW)
    assert request_of_ann.session.session_key != before


def test_a_wrong_password_proves_nothing_and_is_audited(request_of_ann: HttpRequest) -> None:
    assert not stepup.confirm(request_of_ann, "guess", now=NOW)
    assert stepup.authenticated_at(request_of_ann) is None
    assert actions() == ["user.password_failed"]


def test_after_five_wrong_ones_the_right_one_is_not_looked_at(request_of_ann: HttpRequest) -> None:
    for _ in range(5):
        stepup.confirm(request_of_ann, "guess", now=NOW)
    assert not stepup.confirm(request_of_ann, PASSWORD, now=NOW + 14 * MINUTE)
    assert actions() == ["user.password_failed"] * 5 + ["user.password_throttled"]
    assert stepup.wait_until(request_of_ann.user.pk, now=NOW + 14 * MINUTE) == NOW + 15 * MINUTE


def test_after_fifteen_minutes_one_may_try_again(request_of_ann: HttpRequest) -> None:
    for _ in range(5):
        stepup.confirm(request_of_ann, "guess", now=NOW)
    assert stepup.wait_until(request_of_ann.user.pk, now=NOW + 15 * MINUTE) is None
    assert stepup.confirm(request_of_ann, PASSWORD, now=NOW + 15 * MINUTE)


def test_a_right_password_clears_the_count(request_of_ann: HttpRequest) -> None:
    for _ in range(4):
        stepup.confirm(request_of_ann, "guess", now=NOW)
    assert stepup.confirm(request_of_ann, PASSWORD, now=NOW)
    assert not stepup.confirm(request_of_ann, "guess", now=NOW)
    assert stepup.confirm(request_of_ann, PASSWORD, now=NOW)


def test_the_tries_of_one_do_not_block_another(request_of_ann: HttpRequest, cast: Cast) -> None:
    for _ in range(5):
        stepup.confirm(request_of_ann, "guess", now=NOW)
    assert stepup.wait_until(cast["abe"].pk, now=NOW) is None


def test_a_disabled_or_unknown_user_proves_nothing(request_of_ann: HttpRequest, cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    assert not stepup.confirm(request_of_ann, PASSWORD, now=NOW)
    request_of_ann.user = AnonymousUser()
    assert not stepup.confirm(request_of_ann, PASSWORD, now=NOW)


def confirm(client: Client, password: str = PASSWORD, **fields: str):
    return client.post(reverse("confirm"), {"password": password, **fields})


def test_the_page_leads_on_to_where_the_password_was_needed(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    old = datetime(2020, 1, 1, tzinfo=NOW.tzinfo)
    session = client.session
    session[stepup.KEY] = old.isoformat()
    session.save()
    assert confirm(client, next="/people/?x=1").headers["Location"] == "/people/?x=1"
    assert datetime.fromisoformat(client.session[stepup.KEY]) > old


@pytest.mark.parametrize(
    "trap",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "https:evil.example", "\\\\evil.example", ""],
)
def test_the_page_never_leads_outside(client: Client, cast: Cast, trap: str) -> None:
    client.force_login(cast["ann"])
    assert confirm(client, next=trap).headers["Location"] == reverse("people")
    assert b"evil" not in client.get(reverse("confirm"), {"next": trap}).content


def test_the_page_says_that_a_password_is_wrong(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    answer = confirm(client, "guess")
    assert answer.status_code == 200 and b"not your password" in answer.content


def test_the_page_says_when_one_may_try_again(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    for _ in range(5):
        answer = confirm(client, "guess")
    assert answer.status_code == 429 and b"Too many wrong passwords" in answer.content


def test_the_page_refuses_a_form_of_another_site(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["ann"])
    assert confirm(client).status_code == 403


def test_the_page_is_for_the_signed_in(client: Client, db: None) -> None:
    assert "/login" in client.get(reverse("confirm")).headers["Location"]


def test_who_comes_from_a_used_up_address_waits_from_its_first_try(db: None) -> None:
    for number in range(stepup.WRONG_TRIES_OF_ADDRESS):
        assert stepup.sign_in_wait(None, f"nobody{number}", address="192.0.2.9", now=NOW) is None
    later = NOW + 3 * MINUTE
    assert stepup.sign_in_wait(None, "another", address="192.0.2.9", now=later) == NOW + stepup.WINDOW
    assert stepup.sign_in_wait(None, "another", address="192.0.2.8", now=later) is None


def test_whose_count_ended_meanwhile_still_waits(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepup, "_take", lambda *key, **how: False)
    assert stepup.sign_in_wait(None, "nobody", address="192.0.2.9", now=NOW) == NOW + stepup.WINDOW
