"""What the tests of the pages share: a stopped clock, signed-in browsers, and rollouts with runs and a watch."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from approvals import stepup
from monitoring import audit
from monitoring.audit import SYSTEM
from monitoring.models import Poll, Watch
from rollout import actions, backups, journal, opening, standing, transitions, watching
from rollout.models import Backup, Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from tests.base import PASSWORD, Client
from tests.factories import NOW, actor, fresh, later


def stop_clock(monkeypatch: pytest.MonkeyPatch, at: datetime = NOW + timedelta(minutes=1)) -> None:
    """Let the product see this moment, in which the sign-offs of the factories are still good."""
    monkeypatch.setattr(timezone, "now", lambda: at)


def browser(user: User, *, stale: bool = False) -> Client:
    """Return a browser in which the user is signed in; `stale`: so long ago that a decision needs the password."""
    client = Client()
    assert client.login(username=user.username, password=PASSWORD)
    session = client.session
    session[stepup.KEY] = (NOW - timedelta(hours=1) if stale else NOW).isoformat()
    session.save()
    return client


def started(rollout: Rollout, operator: User) -> Run:
    """Start an approved rollout, past the engine: its deploy run runs, no step was begun."""
    rollout = fresh(rollout)
    run = actions.start(rollout, user=operator, by=actor(operator), now=later(10))
    transitions.move(run, N.RUNNING, by=actor(operator), now=later(11), started_at=later(11))
    transitions.move(rollout, R.RUNNING, by=actor(operator), now=later(11), started_at=later(11))
    return Run.objects.get(pk=run.pk)


def ran(run: Run, upto: int, *, running: bool = False) -> Step:
    """Let the first steps of a run have succeeded; with `running` the last of them still runs. Return that one."""
    for step in run.steps.filter(number__lte=upto - running):
        Step.objects.filter(pk=step.pk).update(
            state=S.SUCCEEDED,
            attempt=1,
            started_at=later(12),
            ended_at=later(14),
            outcome={"result": "ok", "sentence": f"{step.kind} done"},
        )
    step = run.steps.get(number=upto)
    if running:
        begin(step)
    return step


def begin(step: Step) -> None:
    """Let a step run, as the engine tells of it."""
    with audit.turn():
        told = standing.begun_as(step)
        transitions.move(step, S.RUNNING, by=SYSTEM, now=later(12), data=told, attempt=1, started_at=later(12))
        if step.effect:
            journal.intend(step, now=later(12))


def backed_up(run: Run, folder: Path) -> Backup:
    """Give a run's rollout a verified backup."""
    path = str(folder / f"dhash_production_20261123_1200{run.pk:02d}.zip")
    facts = {"kind": "backup", "path": path, "sha256": "b" * 64, "size": 10, "members": 0, "rows": {}}
    backup = backups.register(run.target, {**facts, "release_version": "1.0.0"}, run=run, by=SYSTEM, now=later(13))
    Rollout.objects.filter(pk=run.rollout_id).update(backup=backup)
    return backup


def watched(rollout: Rollout, operator: User, folder: Path, *, looks: int = 2) -> Watch:
    """Bring an approved rollout into its watch, with some looks at it."""
    run = started(rollout, operator)
    step = run.steps.get(kind="watch")
    ran(run, step.number - 1)
    backed_up(run, folder)
    run = Run.objects.get(pk=run.pk)
    watching.begin(run, step, now=later(15))
    Target.objects.filter(pk=run.target_id).update(live_version=rollout.release.version)
    watch = Run.objects.get(pk=run.pk).watch
    assert watch is not None
    for number in range(1, looks + 1):
        Poll.objects.create(
            watch=watch,
            number=number,
            at=later(15 + 5 * number),
            verdict="passing",
            reason="well",
            gates=[gate(name, value) for name, value in (("health", 0.0), ("p95", 120.5))],
            next_interval_s=5,
            next_reason="first 10 s: every 5 s",
        )
    Watch.objects.filter(pk=watch.pk).update(polls=looks, verdict="passing", reason="All gates are well.")
    return Watch.objects.get(pk=watch.pk)


def gate(name: str, value: float) -> dict[str, Any]:
    """Return how a poll keeps one gate."""
    return {
        "name": name,
        "title": name,
        "severity": "rollback",
        "state": "passing",
        "value": value,
        "limit": 2000.0,
        "unit": "ms",
        "samples": 2,
        "missed": 0,
        "reason": f"{name} is well",
    }


def tell_often(rollout: Rollout) -> None:
    """Add notices and audit entries about a rollout, as a long life does."""
    for number in range(10):
        with audit.turn():
            why, key = f"for reason {number}", f"more-{number}"
            transitions.tell(rollout, "decision_recorded", "info", why=why, by=SYSTEM, now=later(number), key=key)
            subject = transitions.subject_of(rollout)
            audit.append(action="rollout.noted", by=SYSTEM, subject=subject, why=why, now=later(number))


def rolled_back(rollout: Rollout, operator: User, folder: Path) -> Run:
    """Bring an approved rollout to a rollback that has ended; the operator clicked it."""
    watched(rollout, operator, folder)
    one = fresh(rollout)
    run = actions.roll_back(one, user=operator, why="hashes are slow", by=actor(operator), now=later(40))
    opening.end_run(run, N.SUCCEEDED, why="hashes are slow", by=actor(operator), now=later(50))
    transitions.move(fresh(rollout), R.ROLLED_BACK, by=actor(operator), now=later(50), ended_at=later(50))
    return Run.objects.get(pk=run.pk)
