"""A rollback goes on without an undo copy, and one that fails half way says that the service is stopped."""

import pytest
from django.contrib.auth.models import User

from monitoring.models import Incident
from rollout import actions, engine
from rollout.intent import Intent, Outcome
from rollout.models import Run
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
NO_COPY = Outcome(result="ok", sentence="WARNING: NO undo copy was kept", facts={"path": "", "kind": "undo"})


@pytest.fixture
def rollback(target: object, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return the rollback that follows from a deploy whose check failed."""
    rollout = factories.make_approved(target, cast)
    deploy = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(deploy, fake, fail_at="check")
    return Run.objects.get(rollout=deploy.rollout, kind="rollback")


def test_a_rollback_without_an_undo_copy_goes_on_to_the_end(rollback: Run, fake: FakeRunner) -> None:
    while not fake.running or Intent.read(fake.current).params.get("undo") is None:
        if fake.running:
            fake.succeed()
        engine.advance(rollback.pk)
    fake.finish(NO_COPY)
    drive(rollback, fake)
    assert fresh(rollback.rollout).state == R.ROLLED_BACK
    assert not rollback.backups.exists()
    assert rollback.steps.get(kind="backup").outcome["sentence"] == NO_COPY.sentence


@pytest.mark.parametrize("step", ["restore", "verify:restored"])
def test_between_stop_and_start_a_failure_says_that_the_service_is_stopped(
    rollback: Run, fake: FakeRunner, step: str
) -> None:
    drive(rollback, fake, fail_at=step)
    assert fresh(rollback.rollout).state_why.endswith("it said no. The service is stopped.")
    assert Incident.objects.get().entries.filter(text__contains="The service is stopped.").exists()


@pytest.mark.parametrize("step", ["stop", "start", "verify:health"])
def test_elsewhere_nobody_says_that_it_is_stopped(rollback: Run, fake: FakeRunner, step: str) -> None:
    drive(rollback, fake, fail_at=step)
    assert "is stopped" not in fresh(rollback.rollout).state_why
