"""A host that was lost: its runs are parked or end, none is run again, and an abort can still be done."""

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from monitoring.models import Incident
from rollout import actions, alarms, housekeeping, in_force, losing, tasks
from rollout.models import Heartbeat, Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from tests import factories
from tests.factories import NOW, actor
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture
def deploy(target: Target, cast: Cast) -> Run:
    """Return a deploy run that was started and has not begun; its host counted to 7."""
    Heartbeat.objects.update_or_create(name="pulse@local", defaults={"counter": 7, "at": NOW})
    return actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def lose(run: Run, counter: int = 7) -> Run:
    """Let its host be lost, which host b notices."""
    with override_settings(GR_HOST_ID="b"):
        tasks.host_lost("local", counter)
    run.refresh_from_db()
    return run


def abort(run: Run, cast: Cast) -> None:
    rollout = factories.fresh(run.rollout)
    actions.abort(rollout, user=cast["tom"], why="its host is gone", by=actor(cast["tom"]), now=NOW)


def test_a_run_that_may_have_changed_something_is_unknown(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    assert lose(deploy).state == N.UNKNOWN and factories.fresh(deploy.rollout).state == R.UNKNOWN


def test_a_run_that_changed_nothing_has_failed(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="preflight")
    assert lose(deploy).state == N.FAILED and factories.fresh(deploy.rollout).state == R.FAILED


def test_nothing_is_started_on_the_host_that_noticed(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    started = len(fake.started)
    lose(deploy)
    with override_settings(GR_HOST_ID="b"):
        tasks.advance(deploy.pk)
    assert len(fake.started) == started


def test_a_host_that_counted_on_keeps_its_runs(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    assert lose(deploy, counter=6).state == N.RUNNING


def test_a_queued_run_waits_for_its_host(deploy: Run) -> None:
    assert lose(deploy).state == N.QUEUED


def test_a_queued_run_can_be_aborted(deploy: Run, cast: Cast) -> None:
    abort(deploy, cast)
    assert lose(deploy).state == N.CANCELLED


def test_a_watch_is_not_ended(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    assert lose(deploy).state == N.RUNNING


def test_the_abort_of_a_watch_ends_with_people_who_know(deploy: Run, fake: FakeRunner, cast: Cast) -> None:
    drive(deploy, fake)
    abort(deploy, cast)
    assert lose(deploy).state == N.CANCELLED
    rollback = deploy.rollout.runs.get(kind="rollback")
    assert lose(rollback).state == N.UNKNOWN


def test_to_be_told_twice_changes_nothing_more(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    lose(deploy)
    version = deploy.version
    losing.give_up("local", 7, now=NOW)
    assert Run.objects.get(pk=deploy.pk).version == version


def test_what_is_live_is_seen_by_the_host_that_has_the_disk(target: Target, settings) -> None:
    Target.objects.update(live_version="")
    settings.GR_HOST_ID = "b"
    in_force.see(target.pk)
    assert Target.objects.get(pk=target.pk).live_version == ""
    settings.GR_HOST_ID = "local"
    in_force.see(target.pk)
    assert Target.objects.get(pk=target.pk).live_version == "1.0.0"


def roll_back(run: Run, cast: Cast) -> Run:
    """Roll a deploy back while its command runs, and lose the request that the command ends."""
    rollout = factories.fresh(run.rollout)
    return actions.roll_back(rollout, user=cast["tom"], why="it is wrong", by=actor(cast["tom"]), now=NOW)


def test_a_command_that_was_not_told_to_end_is_told_again(deploy: Run, fake: FakeRunner, cast: Cast) -> None:
    drive(deploy, fake, stop_at="switch")
    rollback = roll_back(deploy, cast)
    assert fake.cancelled == set()  # asked for after the commit, which this test never makes
    tasks.advance(rollback.pk)
    assert fake.cancelled == {fake.current}


def test_a_command_of_another_host_is_left_to_it(deploy: Run, fake: FakeRunner, cast: Cast) -> None:
    drive(deploy, fake, stop_at="switch")
    rollback = roll_back(deploy, cast)
    Run.objects.filter(pk=rollback.pk).update(host_id="b")
    tasks.advance(rollback.pk)
    assert fake.cancelled == set()


def test_a_run_that_cannot_be_given_up_is_told_of_as_p0(
    deploy: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run, *, now: object) -> None:
        raise ValueError("its component cannot be read")

    drive(deploy, fake, stop_at="switch")
    monkeypatch.setattr(losing, "host_lost", broken)
    lose(deploy)
    assert Incident.objects.get(title=alarms.TITLE).severity == "P0"


def test_the_house_is_kept_although_nothing_can_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []

    def broken(now: object) -> None:
        raise ValueError("a sign-off that cannot be read")

    monkeypatch.setattr(actions, "expire_due", broken)
    monkeypatch.setattr(housekeeping, "due", kept.append)
    with pytest.raises(ValueError, match="cannot be read"):
        tasks.sweep()
    assert len(kept) == 1
