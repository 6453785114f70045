"""What every race is made of: the fifty, their sessions, a click on a form, a target that is free again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from approvals import stepup
from rollout import once
from rollout.models import BreakGlass, Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from tests.faults.crowd import SESSIONS, Click

PEOPLE = 50
CAST: dict[str, User] = {}


def sign_in() -> None:
    """Open one session a person; the fifty share it, as the tabs of one browser do."""
    for name, user in CAST.items():
        client = Client()
        client.force_login(user)
        session = client.session
        session[stepup.KEY] = timezone.now().isoformat()
        session.save()
        SESSIONS[name] = session.session_key or ""


def form(user: str, rollout: Rollout, verb: str, key: str = "", advance: int = 0, **data: str) -> Click:
    """Return a click on a verb, under a key of its own unless one is given."""
    sent = {"digest": rollout.digest, **data, once.FIELD: key or once.new_key(timezone.now())}
    return Click(user, f"/rollouts/{rollout.pk}/{verb}/", sent, advance=advance)


def decision(rollout: Rollout, user: str, kind: str, key: str = "") -> Click:
    """Return a click on one of the three buttons of the sign-off."""
    duty = {"ann": "approver", "olaf": "deploy-operator"}[user] if kind == "APPROVE" else ""
    values = {"kind": kind, "duty": duty, "digest": rollout.digest, "reason": "seen it run", "diff_opened": ""}
    return form(user, rollout, "decide", key, **values)


@dataclass
class Race:
    """What is clicked, and which faults the answers and the database show."""

    clicks: list[Click]
    judge: Callable[[list[dict[str, Any]]], list[str]]


def target() -> Target:
    """Return the target, free again: what the round before left is ended past all rules."""
    open_runs = Run.objects.filter(state__in=[N.QUEUED, N.RUNNING])
    BreakGlass.objects.filter(closed_at=None).update(closed_at=timezone.now())
    Rollout.objects.filter(runs__in=open_runs).update(state=R.CANCELLED)
    open_runs.update(state=N.CANCELLED)
    return Target.objects.get(environment__name="production")


def version(number: int) -> str:
    return f"1.1.{number}"
