"""What waits for an admin about people, and what was done to the reader's own account."""

from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.urls import reverse

from approvals import change_rules, people
from approvals.models import Change
from approvals.roles import changes_people
from rollout.views.need import SOON, WHEN_FREE, Need

CAP = 100
TOLD_FOR = timedelta(days=3)


def to_answer(user: AbstractUser, now: datetime) -> list[Need]:
    """Return the changes of people that this admin can answer."""
    if not changes_people(user):
        return []
    waiting = change_rules.open_changes(now).exclude(proposed_by=user.pk).exclude(user=user.pk)
    return [
        Need(
            rank=SOON,
            state="WAITING",
            title=f"{one.get_kind_display().capitalize()}: {people.printed_name(one.user)}",
            why=f"{people.printed_name(one.proposed_by)} proposes it ({one.why}). A second admin is needed.",
            do="Read and decide",
            url=reverse("change", args=[one.pk]),
            at=one.proposed_at,
        )
        for one in waiting[:CAP]
    ]


def done_to(user: AbstractUser, now: datetime) -> list[Need]:
    """Return what two admins did to this account lately: whoever did not ask for it has to hear of it."""
    rows = Change.objects.filter(user=user.pk, answer__kind="CONFIRMED", answer__at__gt=now - TOLD_FOR)
    found = rows.select_related("answer__by__person", "proposed_by__person").order_by("-pk")[:CAP]
    return [
        Need(
            rank=WHEN_FREE,
            state="CONFIRMED",
            title=f"Your account: {one.get_kind_display()}",
            why=f"{people.printed_name(one.proposed_by)} proposed it ({one.why}), {people.printed_name(one.answer.by)} "
            "confirmed it. If that was not agreed with you, tell another admin.",
            do="Look at your account",
            url=reverse("person", args=[user.pk]),
            at=one.answer.at,
        )
        for one in found
    ]
