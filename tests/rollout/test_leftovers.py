"""A rollback waits for the target's lock, but not unseen, and not for what can be asked to end."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring.models import Incident
from rollout import alarms, backups, commands, engine, leftovers, runner
from rollout.models import Run, Target
from tests import factories
from tests.factories import NOW, actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def rollback(target: Target, cast: dict[str, User]) -> Run:
    """Return a rollback that has not begun its first step."""
    rollout = factories.make_approved(target, cast)
    state = {"kind": "rollback", "state": "RUNNING", "created_at": NOW, "started_at": NOW}
    run = Run.objects.create(rollout=rollout, target=target, host_id=target.host_id, **state)
    run.steps.create(number=1, kind="verify", title="Backup read back whole", params={"what": "backup"})
    return factories.told(run)


@pytest.fixture
def held(rollback: Run) -> Iterator[Path]:
    """Hold the target's lock, as a command does whose runner is gone."""
    path = commands.lock_path(rollback.target)
    with runner.lock(path):
        yield path


def wait(run: Run, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(runner, "age_s", lambda folder: seconds)
    engine.advance(run.pk)
    leftovers.cancel(run.pk)


def test_a_stranger_that_holds_the_lock_is_told_once_and_named(
    rollback: Run, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        wait(rollback, monkeypatch, 61)
    incident = Incident.objects.get(title=alarms.WAITS)
    assert incident.severity == "P0"
    assert any(name in incident.summary for name in runner.holders(held))


def test_a_short_wait_calls_nobody(rollback: Run, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait(rollback, monkeypatch, 59)
    assert not Incident.objects.exists()


def test_another_worker_that_forgets_the_wait_meanwhile_is_no_error(
    rollback: Run, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = runner.stamp

    def late(folder: Path) -> None:
        shutil.rmtree(folder)
        stamp(folder)

    monkeypatch.setattr(runner, "stamp", late)
    leftovers.cancel(rollback.pk)
    assert not Incident.objects.exists()


def test_a_wait_is_measured_from_its_first_look_and_forgotten_with_the_lock(rollback: Run, held: Path) -> None:
    leftovers.cancel(rollback.pk)
    (folder,) = (held.parents[1] / "waits").iterdir()
    assert 0 <= runner.age_s(folder) < 60
    rollback.steps.update(state="RUNNING")
    leftovers.cancel(rollback.pk)
    assert not folder.exists()


def test_a_backup_on_request_makes_room_for_a_rollback(
    rollback: Run, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.TargetLock.start

    def slow(self: runner.TargetLock, folder: Path, argv: object, **how: Any) -> None:
        real(self, folder, ["/bin/sh", "-c", "echo begun; exec sleep 60"], **how)

    monkeypatch.setattr(runner.TargetLock, "start", slow)
    with pytest.raises(Refused, match="was ended for a rollback"):
        backups.take(rollback.target, by=actor(cast["tom"]), now=NOW, say=lambda line: leftovers.cancel(rollback.pk))
