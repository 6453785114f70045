"""The forms of being out of office, filled in; for posts.py."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals import delegation
from tests import factories

Filled = tuple[User, str, dict[str, Any]]


def given(cast: dict[str, User]) -> Filled:
    """Return Olaf naming Ann his deputy."""
    now = timezone.now()
    span = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(days=7)).isoformat()}
    return cast["olaf"], reverse("delegations"), {"deputy": cast["ann"].pk, "why": "away", **span}


def ended(cast: dict[str, User]) -> Filled:
    """Return Olaf coming back."""
    olaf, now = cast["olaf"], timezone.now()
    span = {"starts_at": now, "ends_at": now + timedelta(days=7)}
    made = delegation.give(olaf, cast["ann"], **span, why="away", by=factories.actor(olaf), now=now)
    return olaf, reverse("delegation_end", args=[made.pk]), {}
