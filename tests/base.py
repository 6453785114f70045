"""The standing cast of the tests: everyone who has a part in a rollout, and one who has none."""

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
    """Create the whole cast."""
    return {name: make_user(name, *groups) for name, groups in CAST.items()}
