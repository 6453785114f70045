"""Users as the rules see them: roles of now, for one component."""

import pytest
from django.contrib.auth.models import Group, User

from approvals import groups, ledger, people
from approvals.models import Person

from .world import NOW

Cast = dict[str, User]


def test_members_are_the_active_holders_of_a_role(cast: Cast) -> None:
    User.objects.filter(pk=cast["tom"].pk).update(is_active=False)
    names = [member.name for member in ledger.members("dhash", now=NOW)]
    assert names == ["Abe", "Ada", "Ann", "Ari", "Aud", "Mia", "Olaf", "Rita"]


def test_roles_may_be_limited_to_components(cast: Cast) -> None:
    Person.objects.filter(user=cast["ann"]).update(components=["player"])
    assert ledger.current_roles(cast["ann"], "player") == {"approver"}
    assert ledger.current_roles(cast["ann"], "dhash") == frozenset()
    assert cast["ann"].pk not in {member.user_id for member in ledger.members("dhash", now=NOW)}


def test_roles_are_read_from_the_database_and_not_from_the_object(cast: Cast) -> None:
    ann = User.objects.prefetch_related("groups").get(pk=cast["ann"].pk)
    list(ann.groups.all())
    User.objects.get(pk=ann.pk).groups.clear()
    assert ledger.current_roles(ann, "dhash") == frozenset()


def test_a_disabled_user_holds_no_role(cast: Cast) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    assert ledger.current_roles(cast["ann"], "dhash") == frozenset()


def test_a_superuser_holds_no_role_by_that(cast: Cast) -> None:
    User.objects.filter(pk=cast["otto"].pk).update(is_superuser=True)
    assert ledger.current_roles(cast["otto"], "dhash") == frozenset()


def test_a_group_that_is_not_one_of_the_eight_is_no_role(cast: Cast) -> None:
    cast["otto"].groups.add(Group.objects.create(name="Approver"))
    assert ledger.current_roles(cast["otto"], "dhash") == frozenset()


@pytest.mark.django_db
def test_a_user_without_a_person_signs_with_the_account_name() -> None:
    user = User.objects.create_user("zoe")
    assert (people.printed_name(user), people.zone(user.pk)) == ("zoe", "UTC")
    user.first_name, user.last_name = "Zoe", "Zed"
    assert people.printed_name(user) == "Zoe Zed"


@pytest.mark.django_db
def test_the_eight_groups_stand_after_migrate() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(groups.GROUPS)


@pytest.mark.django_db
def test_missing_groups_are_made_and_present_ones_left() -> None:
    Group.objects.get(name="ops").delete()
    assert groups.ensure_groups() == ["ops"]
    assert groups.ensure_groups() == []
