"""manage.py add_admin: two people at a shell, and only while too few admins are there."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from approvals import roles
from approvals.models import Person
from monitoring.models import AuditEntry, Notice
from tests.base import PASSWORD, make_user

Cast = dict[str, User]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):
    """Return a function that types passwords into standard input, then runs the command."""

    def run(user: str, as_user: str = "ada", *passwords: str) -> None:
        lines = "".join(f"{one}\n" for one in passwords or (PASSWORD, PASSWORD))
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        values = {"as_user": as_user, "why": "ari is away", "password_stdin": True}
        call_command("add_admin", user, **values, stdout=io.StringIO())

    return run


def test_both_make_a_third_admin(cast: Cast, typed) -> None:
    typed("tom")
    assert roles.is_admin(cast["tom"]) and User.objects.get(username="tom").is_staff
    entry = AuditEntry.objects.get(action="person.rights_changed")
    assert (entry.via, entry.actor_id, entry.why) == ("shell", cast["ada"].pk, "ari is away")


def test_every_channel_hears_of_it(cast: Cast, typed) -> None:
    typed("tom")
    assert Notice.objects.get(event="admin_added").severity == "critical"


@pytest.mark.parametrize("passwords", [(PASSWORD, "wrong"), ("wrong", PASSWORD)])
def test_it_takes_the_password_of_each(cast: Cast, typed, passwords: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="not the password"):
        typed("tom", "ada", *passwords)
    assert not roles.is_admin(cast["tom"])


@pytest.mark.parametrize(
    ("user", "as_user"), [("ada", "ada"), ("tom", ""), ("tom", "abe"), ("otto", "tom"), ("ari", "ada")]
)
def test_it_takes_an_admin_and_somebody_who_is_none(cast: Cast, typed, user: str, as_user: str) -> None:
    before = {one.pk for one in roles.admins()}
    with pytest.raises(CommandError):
        typed(user, as_user)
    assert {one.pk for one in roles.admins()} == before


def test_it_is_over_with_three_admins(cast: Cast, typed) -> None:
    make_user("eve", "admin")
    with pytest.raises(CommandError, match="3 admins already"):
        typed("tom")


def test_an_admin_of_some_components_becomes_one_of_all(cast: Cast, typed) -> None:
    Person.objects.filter(user=cast["ari"]).update(components=["player"])
    typed("ari")
    assert cast["ari"].pk in {one.pk for one in roles.admins()}
