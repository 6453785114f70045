"""Every answer carries a strict policy and a request id, and every request an actor."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from rollout import middleware
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db


def test_no_inline_script_and_no_foreign_source_is_allowed(client: Client) -> None:
    policy = client.get("/login/").headers["Content-Security-Policy"]
    assert policy == middleware.POLICY
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("header", ["Permissions-Policy", "X-Request-ID", "X-Frame-Options", "Referrer-Policy"])
def test_a_page_carries_the_header(client: Client, header: str) -> None:
    assert client.get("/login/").headers[header]


def test_two_requests_have_two_ids(client: Client) -> None:
    assert client.get("/login/").headers["X-Request-ID"] != client.get("/login/").headers["X-Request-ID"]


def test_a_page_without_sign_in_leads_to_the_sign_in(client: Client) -> None:
    assert client.get("/people/").headers["Location"].startswith("/login/")


def test_a_page_for_other_roles_is_403(cast: dict[str, User]) -> None:
    assert browser(cast["otto"]).get("/people/").status_code == 403


def test_the_actor_is_who_signed_in(cast: dict[str, User]) -> None:
    actor = browser(cast["rita"]).get("/people/").wsgi_request.actor
    assert (actor.id, actor.name, actor.via) == (cast["rita"].pk, "rita", "browser")


def test_nobody_is_an_actor_without_id(client: Client) -> None:
    assert client.get("/login/").wsgi_request.actor.id is None


def test_only_a_part_of_the_session_key_is_told(cast: dict[str, User]) -> None:
    assert len(browser(cast["rita"]).get("/people/").wsgi_request.actor.session) == 8
