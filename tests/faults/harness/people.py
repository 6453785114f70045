"""What people and the outside world do in a scenario: click, click again when nothing came back, watch, have enough."""

import contextlib
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.utils import timezone

from monitoring import audit, watch_store
from monitoring.audit import SYSTEM
from monitoring.models import Watch
from rollout import actions, deciding
from rollout.models import Rollout
from tests.factories import actor
from tests.faults.harness import target

OUTCOMES = {"breach": ("BREACHED", "p95 above 2000 ms")}
PASSED = ("PASSED", "no breach")
# scenario -> the state of the rollout in which the person clicks, and the kind of run that he wants
BEGINS = {"validate": ("DRAFT", "validate"), "rollback": ("SUCCEEDED", "rollback")}
STARTS = ("APPROVED", "deploy")
# what a person makes of an effect that did not happen: he gives up, or tries again
mood = {"gives up": False}


def click(scenario: str, *, patience: bool) -> None:
    """Do what the person of a scenario does now; to lose a race is no error. Without patience he aborts."""
    state, wanted = BEGINS.get(scenario, STARTS)
    if wanted not in {kind for kind, _ in look("SELECT kind, state FROM rollout_run")}:
        if look("SELECT state FROM rollout_rollout") == [(state,)]:
            _begin(scenario)
    elif scenario == "decided":
        _decide()
    elif scenario == "abort" and not patience and _can_be_aborted():
        _do(actions.abort, "olaf", why="a wrong number on the page")


def watch(scenario: str) -> None:
    """Decide an open watch, as the gates do."""
    if look("SELECT id FROM monitoring_watch WHERE state = 'OBSERVING'"):
        (outcome, why), now = OUTCOMES.get(scenario, PASSED), timezone.now()
        with audit.turn():
            for one in Watch.objects.filter(state="OBSERVING"):
                Watch.objects.filter(pk=one.pk).update(state="DECIDED", outcome=outcome, reason=why, decided_at=now)
                watch_store.tell_audit(one, f"watch.{outcome.lower()}", by=SYSTEM, why=why, new=outcome, now=now)


def is_over(scenario: str) -> bool:
    """Say whether nothing is left to do: nothing runs, and the person got what he clicked for."""
    runs = look("SELECT kind, state FROM rollout_run")
    wanted = BEGINS.get(scenario, STARTS)[1]
    open_ = {"QUEUED", "RUNNING"} | ({"UNKNOWN"} if scenario == "decided" else set())
    return wanted in {kind for kind, _ in runs} and not open_ & {state for _, state in runs}


def runs() -> tuple[list[int], list[int]]:
    """Return the runs that go on, and all that ever were."""
    rows = look("SELECT id, state FROM rollout_run ORDER BY id")
    return [pk for pk, state in rows if state in ("QUEUED", "RUNNING")], [pk for pk, _ in rows]


def look(sql: str) -> list[tuple[Any, ...]]:
    """Ask the database beside Django, so that only the product's statements are points."""
    connection.ensure_connection()
    return list(connection.connection.execute(sql).fetchall())


def _decide() -> None:
    """Say what the target shows; what it does not show is tried again by two people, or given up."""
    unknown = look("SELECT kind FROM rollout_step WHERE state = 'UNKNOWN'")
    if not unknown:
        return
    if target.is_changed(unknown[0][0]):
        _do(deciding.done, "olaf", why="the target shows it")
    elif mood["gives up"]:
        _do(deciding.not_done, "olaf", why="the target does not show it")
    else:
        _do(deciding.try_again, "olaf", why="the target does not show it")
        _do(deciding.try_again, "tom", why="it does not, indeed")


def _can_be_aborted() -> bool:
    return bool(look("SELECT id FROM rollout_run WHERE state IN ('QUEUED', 'RUNNING') AND NOT abort_requested"))


def _begin(scenario: str) -> None:
    if scenario == "rollback":
        _do(actions.roll_back, "tom", why="customers complain")
    elif scenario == "validate":
        _do(actions.submit, "rita")
    else:
        _do(actions.start, "olaf")


def _do(verb: Callable[..., object], name: str, **more: str) -> None:
    user = User.objects.get(username=name)
    with contextlib.suppress(actions.Refused, actions.ConflictError, IntegrityError):
        verb(Rollout.objects.get(), user=user, by=actor(user), now=timezone.now(), **more)
