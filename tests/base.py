"""The standing cast of the tests: everyone who has a part in a rollout, and one who has none."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from approvals.models import Person

PASSWORD = "correct horse battery"
CAST: dict[str, tuple[str, ...]] = {
    "rita": ("release-owner",),
    "ann": ("approver",),
    "abe": ("approver", "ops"),
    "olaf": ("deploy-operator",),
    "mia": ("media-eng",),
    "tom": ("triage",),
    "aud": ("auditor",),
    "ada": ("admin",),
    "ari": ("admin",),
    "otto": (),
}


def make_user(name: str, *groups: str) -> User:
    """Create a user of the cast with a person and groups."""
    user = User.objects.create_user(name, f"{name}@example.com", PASSWORD, is_staff="admin" in groups)
    Person.objects.get_or_create(user=user, defaults={"printed_name": name.title()})
    user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    return user


def make_cast() -> dict[str, User]:
    """Create the whole cast, in a handful of queries: most tests begin with it."""
    password = make_password(PASSWORD)
    groups = {one.name: one for one in Group.objects.all()}
    needed = {group for names in CAST.values() for group in names}
    groups |= {one.name: one for one in Group.objects.bulk_create(Group(name=name) for name in needed - set(groups))}
    users = User.objects.bulk_create(
        User(username=name, email=f"{name}@example.com", password=password, is_staff="admin" in names)
        for name, names in CAST.items()
    )
    Person.objects.bulk_create(Person(user=user, printed_name=user.username.title()) for user in users)
    member = User.groups.through
    member.objects.bulk_create(
        member(user=user, group=groups[group]) for user in users for group in CAST[user.username]
    )
    return {user.username: user for user in users}
