"""The standing cast of the tests: everyone who has a part in a rollout, and one who has none."""

from typing import Any

from django import test
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone

from approvals.models import Person
from rollout import once

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


class Client(test.Client):
    """A browser that sends a fresh key with every form, as our pages do; with `keyless` it sends none."""

    def post(  # type: ignore[override]
        self, path: str, data: Any = None, content_type: str = MULTIPART_CONTENT, *, keyless: bool = False, **how: Any
    ) -> HttpResponse:
        """Send a form; a machine's JSON has no field for a key."""
        if content_type == MULTIPART_CONTENT and not keyless and not path.startswith("/api/"):
            data = {once.FIELD: once.new_key(timezone.now()), **(data or {})}
        return super().post(path, data, content_type, **how)


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
