"""The eight groups, the same everywhere."""

from django.contrib.auth.models import Group

# name -> what it lets a person do, as the people page says it
GROUPS = {
    "release-owner": "prepares releases, attaches evidence, submits rollouts",
    "approver": "reviews and approves or rejects",
    "ops": "approves as Ops/SRE, deploys, aborts and rolls back",
    "deploy-operator": "gives the deploy sign-off, starts, aborts and rolls back",
    "media-eng": "validates the golden set and signs for it",
    "triage": "rolls back, leads incidents",
    "auditor": "reads everything, exports the record",
    "admin": "manages people, components and settings",
}
# whose holders are asked for a consent; who is out of office, and his deputy, are two of them
CONSENTING = ("approver", "ops", "deploy-operator", "media-eng")


def ensure_groups() -> list[str]:
    """Create the groups that are missing and return their names."""
    present = set(Group.objects.filter(name__in=GROUPS).values_list("name", flat=True))
    new = [name for name in GROUPS if name not in present]
    Group.objects.bulk_create([Group(name=name) for name in new], ignore_conflicts=True)
    return new
