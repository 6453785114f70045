"""Every answer carries a strict policy and a request id, and every request an actor."""

from pathlib import Path
from unittest.mock import Mock

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from rollout import boot, middleware
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


@pytest.mark.parametrize("path", ["/login/", "/healthz", "/api/v1/rollouts"])
def test_nothing_is_answered_while_the_installation_is_restored(
    path: str, client: Client, settings: LazySettings, tmp_path: Path
) -> None:
    settings.GR_VAR = tmp_path
    (tmp_path / boot.UNFINISHED).touch()
    assert client.get(path).status_code == 503
    (tmp_path / boot.UNFINISHED).unlink()
    assert client.get(path).status_code != 503


def test_a_connection_to_a_database_file_that_was_replaced_is_closed_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database, request = tmp_path / "db.sqlite3", RequestFactory().get("/")
    database.touch()
    connection = Mock(vendor="sqlite", settings_dict={"NAME": database})
    monkeypatch.setattr(middleware, "connection", connection)
    served = middleware.Restoring(lambda _: HttpResponse())
    served(request)
    assert not connection.close.called
    database.rename(tmp_path / "aside")
    database.touch()
    served(request)
    served(request)
    assert connection.close.call_count == 1
