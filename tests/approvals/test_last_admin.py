"""The last active admin stays, whatever door the wish to take him away comes through."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction

from approvals import checks, last_admin, roles
from approvals.proof import Refused
from monitoring.audit import SYSTEM

from .people_world import with_roles
from .world import NOW

Cast = dict[str, User]


@pytest.fixture
def ada(cast: Cast) -> User:
    """Return the last active admin: the other one was disabled."""
    User.objects.filter(username="ari").update(is_active=False)
    return cast["ada"]


def saved_closed(user: User) -> None:
    user.is_active = False
    user.save()


DOORS: dict[str, Callable[[User], object]] = {
    "the group is taken from the user": lambda ada: ada.groups.clear(),
    "the groups are set anew": lambda ada: ada.groups.set(Group.objects.filter(name="auditor")),
    "the user is taken from the group": lambda ada: Group.objects.get(name="admin").user_set.clear(),
    "the account is closed": lambda ada: User.objects.filter(pk=ada.pk).update(is_active=False),
    "the account is saved closed": saved_closed,
    "all accounts are closed": lambda ada: User.objects.update(is_active=False),
    "the account is removed": lambda ada: User.objects.filter(pk=ada.pk).delete(),
    "the group is removed": lambda ada: Group.objects.get(name="admin").delete(),
    "the group is called otherwise": lambda ada: Group.objects.filter(name="admin").update(name="boss"),
    "the membership becomes another's": lambda ada: User.groups.through.objects.filter(user=ada).update(
        user=User.objects.get(username="ari")
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_the_database_keeps_the_last_admin(ada: User, door: str) -> None:
    with pytest.raises(DatabaseError, match="last active admin stays"), transaction.atomic():
        DOORS[door](ada)
    assert roles.is_admin(ada)


@pytest.mark.parametrize("changed", [{"active": False}, {}])
def test_rights_that_would_take_him_away_are_refused_in_words(ada: User, changed: dict[str, bool]) -> None:
    names = ("admin",) if changed else ()
    with pytest.raises(Refused, match="last active admin"):
        roles.put(ada, with_roles(ada, *names, **changed), why="leaves", by=SYSTEM, now=NOW)


def test_one_of_two_can_go(cast: Cast) -> None:
    cast["ari"].groups.clear()
    assert roles.is_admin(cast["ada"]) and not roles.is_admin(cast["ari"])


def test_an_admin_who_is_disabled_can_go(ada: User) -> None:
    User.objects.get(username="ari").groups.clear()
    assert roles.is_admin(ada)


def test_other_roles_of_the_last_admin_can_go(ada: User) -> None:
    ada.groups.add(Group.objects.get(name="ops"))
    ada.groups.remove(Group.objects.get(name="ops"))
    assert roles.is_admin(ada)


@pytest.mark.django_db
def test_a_missing_trigger_is_reported_and_made_again() -> None:
    name = "auth_user_groups_no_delete"
    on = " ON auth_user_groups" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}{on}")
    assert [one.id for one in checks.guards_stand(None, databases=["default"])] == ["approvals.E002"]
    last_admin.install(connection)
    assert checks.guards_stand(None, databases=["default"]) == []
