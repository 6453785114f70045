"""The first two admins: one link, one use, one hour, only while nobody exists."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from urllib.parse import urlparse

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from approvals import bootstrap
from approvals.bootstrap import NewAdmin
from approvals.models import WelcomeLink
from approvals.proof import Refused
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from tests.base import Client

from .world import NOW

pytestmark = pytest.mark.django_db
BASE = "http://localhost:8000"


def admin(name: str) -> NewAdmin:
    return NewAdmin(
        username=name, printed_name=name.title(), email=f"{name}@example.com", password="correct horse battery"
    )


def token_of(link: str | None) -> str:
    assert link
    return link.rstrip("/").rsplit("/", 1)[1]


def create(token: str, *names: str, now=NOW) -> list:
    return bootstrap.create_first_admins(token, [admin(name) for name in names], by=SYSTEM, now=now)


def fields(**changed: str) -> dict[str, str]:
    entered = {}
    for prefix, name in (("first", "ada"), ("second", "ari")):
        secret = "correct horse battery"
        values = {"username": name, "printed_name": name.title(), "email": f"{name}@example.com"}
        entered |= {f"{prefix}_{key}": value for key, value in values.items()}
        entered |= {f"{prefix}_password": secret, f"{prefix}_again": secret}
    return {**entered, **changed}


def welcome() -> str:
    return urlparse(bootstrap.one_time_link(BASE, timezone.now())).path  # type: ignore[return-value,arg-type]


def test_the_link_makes_two_admins_who_may_see_the_admin_site() -> None:
    create(token_of(bootstrap.one_time_link(BASE, NOW)), "ada", "ari")
    made = User.objects.filter(groups__name="admin", is_staff=True, is_superuser=False)
    assert set(made.values_list("username", "person__printed_name")) == {("ada", "Ada"), ("ari", "Ari")}
    assert AuditEntry.objects.filter(action="user.added").count() == 2


def test_there_is_no_link_once_anybody_exists() -> None:
    User.objects.create_user("somebody")
    assert bootstrap.one_time_link(BASE, NOW) is None


def test_a_link_works_once() -> None:
    token = token_of(bootstrap.one_time_link(BASE, NOW))
    create(token, "ada", "ari")
    with pytest.raises(Refused, match="was used"):
        create(token, "eve", "eva")


def test_a_link_does_not_work_when_somebody_came_first() -> None:
    token = token_of(bootstrap.one_time_link(BASE, NOW))
    User.objects.create_user("somebody")
    with pytest.raises(Refused, match="was used or is out of date"):
        create(token, "ada", "ari")
    assert WelcomeLink.objects.get().used_at is None


def test_a_link_holds_for_an_hour() -> None:
    token = token_of(bootstrap.one_time_link(BASE, NOW))
    assert bootstrap.is_valid(token, now=NOW + timedelta(minutes=59))
    assert not bootstrap.is_valid(token, now=NOW + timedelta(hours=1))
    with pytest.raises(Refused, match="out of date"):
        create(token, "ada", "ari", now=NOW + timedelta(hours=1))


def test_a_newer_link_takes_the_place_of_an_older_one() -> None:
    old, new = (token_of(bootstrap.one_time_link(BASE, NOW)) for _ in range(2))
    assert not bootstrap.is_valid(old, now=NOW) and bootstrap.is_valid(new, now=NOW)


def test_the_token_is_not_in_the_database() -> None:
    assert token_of(bootstrap.one_time_link(BASE, NOW)) not in str(WelcomeLink.objects.values())


@pytest.mark.parametrize("names", [("ada", "ADA"), ("ada",)])
def test_it_takes_two_different_people(names: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="Two different people"):
        create(token_of(bootstrap.one_time_link(BASE, NOW)), *names)
    assert not User.objects.exists()


def test_the_page_needs_no_sign_in_and_leads_to_it(client: Client) -> None:
    path = welcome()
    assert b"first_username" in client.get(path).content
    assert client.post(path, fields()).headers["Location"].startswith("/login")
    assert client.login(username="ari", password="correct horse battery")
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"second_username": "ADA"}, "Two different people"),
        ({"first_password": "short", "first_again": "short"}, "too short"),
        ({"first_again": "another horse battery"}, "two passwords differ"),
        ({"first_password": "ada@example.com", "first_again": "ada@example.com"}, "too similar"),
        ({"second_email": "nowhere"}, "valid email"),
        ({"first_username": "a b"}, "valid username"),
    ],
)
def test_the_page_refuses_what_would_be_weak(client: Client, changed: dict[str, str], sentence: str) -> None:
    assert sentence in client.post(welcome(), fields(**changed)).content.decode()
    assert not User.objects.exists()


def test_a_guessed_link_is_not_found(client: Client) -> None:
    welcome()
    assert client.get("/welcome/guess/").status_code == 404


def test_the_command_prints_the_link_or_nothing() -> None:
    printed = StringIO()
    call_command("first_admins_link", base_url="http://10.0.0.1:99/", stdout=printed)
    assert printed.getvalue().startswith("http://10.0.0.1:99/welcome/")
    User.objects.create_user("somebody")
    silent = StringIO()
    call_command("first_admins_link", stdout=silent)
    assert silent.getvalue() == ""


def test_the_first_two_have_an_address_each() -> None:
    token = token_of(bootstrap.one_time_link(BASE, NOW))
    two = [admin("ada"), replace(admin("ari"), email="ADA@example.com")]
    with pytest.raises(Refused, match="an e-mail address of his own"):
        bootstrap.create_first_admins(token, two, by=SYSTEM, now=NOW)
