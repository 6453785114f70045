"""The engine with the real runner: a rollback clicked while a command runs waits until that command is really gone."""

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from rollout import actions, commands, engine, runner
from rollout.models import Run, Step, Target
from tests import factories
from tests.factories import NOW, actor, fresh

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.usefixtures("on_that_day")]
PATIENCE_S = 30.0
SLEEP = "import time; time.sleep(60)"


def until(holds: Callable[[], Any], act: Callable[[], Any] = lambda: None) -> None:
    """Act until something holds; fail after a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        act()
        time.sleep(0.02)


def test_a_rollback_begins_when_the_command_of_the_deploy_is_gone(
    target: Target, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(commands, "argv_of", lambda step, folder: [sys.executable, "-c", SLEEP])
    olaf, tom = cast["olaf"], cast["tom"]
    run = actions.start(factories.make_approved(target, cast), user=olaf, by=actor(olaf), now=NOW)
    factories.pass_over(run, "preflight", "backup", "dry_run", "stage")
    engine.advance(run.pk)
    folder = commands.folder_of(Step.objects.get(run=run, kind="migrate"))
    until(lambda: runner.was_started(folder))
    rollout = fresh(run.rollout)
    backup = factories.make_backup(target)
    with django_capture_on_commit_callbacks(execute=True):
        rollback = actions.roll_back(rollout, user=tom, why="wrong release", by=actor(tom), now=NOW, backup=backup)
    first = Step.objects.get(run=rollback, number=1)
    until(
        lambda: Step.objects.get(pk=first.pk).state == "RUNNING",
        lambda: engine.advance(rollback.pk),
    )
    ended = runner.read_exit(folder)
    assert ended is not None
    assert ended["cancelled"]
    assert Run.objects.get(pk=run.pk).state == "CANCELLED"
    now_running = commands.folder_of(Step.objects.get(pk=first.pk))
    until(lambda: runner.was_started(now_running))
    runner.cancel(now_running)
    until(lambda: not runner.is_held(commands.lock_path(target)))
