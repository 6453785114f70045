"""Aborting at each stage: before the first effect nothing changed, after it the target is rolled back."""

import pytest
from django.contrib.auth.models import User

from monitoring.models import Incident, Watch
from rollout import actions, endings, engine, journal
from rollout.models import Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState
from rollout.transitions import ConflictError
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


@pytest.fixture
def validate(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a validate run that has not begun."""
    rita = cast["rita"]
    return actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)


def abort(run: Run, user: User) -> None:
    actions.abort(fresh(run.rollout), user=user, why="the wrong release", by=actor(user), now=NOW)


def end_of(run: Run, fake: FakeRunner) -> tuple[str, str]:
    """Let the engine act on the abort, and return where run and rollout stand."""
    engine.advance(run.pk)
    if fake.running:
        fake.end_cancelled()
        engine.advance(run.pk)
    run.refresh_from_db()
    return run.state, fresh(run.rollout).state


def test_an_abort_while_queued_cancels(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.CANCELLED)


def test_an_abort_while_queued_closes_the_sign_off(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    abort(deploy, cast["tom"])
    end_of(deploy, fake)
    assert fresh(deploy.rollout).sign_off.state == "SUPERSEDED"


def test_an_abort_during_validation_returns_to_draft(validate: Run, cast: dict, fake: FakeRunner) -> None:
    drive(validate, fake, stop_at="backup")
    abort(validate, cast["tom"])
    assert end_of(validate, fake) == ("CANCELLED", R.DRAFT)


def test_a_queued_validate_run_that_is_aborted_returns_to_draft(validate: Run, cast: dict, fake: FakeRunner) -> None:
    abort(validate, cast["tom"])
    assert end_of(validate, fake) == ("CANCELLED", R.DRAFT)


@pytest.mark.parametrize("step", ["preflight", "backup", "dry_run", "stage"])
def test_an_abort_before_the_first_effect_cancels(deploy: Run, cast: dict, fake: FakeRunner, step: str) -> None:
    drive(deploy, fake, stop_at=step)
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.CANCELLED)


@pytest.mark.parametrize("step", ["migrate", "switch", "check"])
def test_an_abort_after_the_first_effect_rolls_back(deploy: Run, cast: dict, fake: FakeRunner, step: str) -> None:
    drive(deploy, fake, stop_at=step)
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.ROLLING_BACK)


def test_an_abort_during_the_watch_rolls_back_and_stops_watching(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake)
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.ROLLING_BACK)
    assert Watch.objects.get().state == "CLOSED"


def test_an_abort_is_not_lost_when_the_watch_passes_at_the_same_moment(
    deploy: Run, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake)
    factories.decide_watches("PASSED", "well")
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.ROLLING_BACK)


def test_an_abort_is_not_lost_when_a_person_is_awaited_after_a_breach(
    deploy: Run, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake)
    journal.withhold_rollback(deploy.rollout, why="another release may be live by now", now=NOW)
    factories.decide_watches("BREACHED", "p95")
    abort(deploy, cast["tom"])
    assert end_of(deploy, fake) == ("CANCELLED", R.ROLLING_BACK)


def test_an_abort_does_not_use_up_the_automatic_rollback(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    abort(deploy, cast["tom"])
    end_of(deploy, fake)
    assert not fresh(deploy.rollout).automatic_rollback_used


def test_an_abort_that_rolls_back_opens_an_incident(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="switch")
    abort(deploy, cast["tom"])
    end_of(deploy, fake)
    assert Incident.objects.get().summary == "aborted by tom: the wrong release"


def test_a_step_that_succeeds_before_the_abort_reaches_it_still_counts(
    deploy: Run, cast: dict, fake: FakeRunner
) -> None:
    drive(deploy, fake, stop_at="stage")
    abort(deploy, cast["tom"])
    fake.succeed()
    engine.advance(deploy.pk)
    assert (deploy.steps.get(kind="stage").state, fresh(deploy.rollout).state) == ("SUCCEEDED", R.CANCELLED)


@pytest.mark.parametrize("end", ["aborted", "deploy_failed"])
def test_a_worker_that_ends_a_run_late_leaves_the_rollback_alone(
    deploy: Run, cast: dict, fake: FakeRunner, end: str
) -> None:
    drive(deploy, fake, stop_at="switch")
    late = Run.objects.select_related("rollout").get(pk=deploy.pk)
    abort(deploy, cast["olaf"])
    end_of(deploy, fake)
    late.rollout.refresh_from_db()
    more = {"why": "late", "title": "late"} if end == "deploy_failed" else {}
    with pytest.raises(ConflictError):
        getattr(endings, end)(late, now=NOW, **more)
    assert fresh(deploy.rollout).runs.get(kind="rollback").state == RunState.RUNNING


def test_an_abort_asked_for_twice_is_refused(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    abort(deploy, cast["tom"])
    with pytest.raises(actions.Refused, match="asked for already"):
        abort(deploy, cast["tom"])


def test_a_rollback_cannot_be_aborted(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, fail_at="check")
    with pytest.raises(actions.Refused, match="no run to abort"):
        abort(deploy, cast["tom"])


def test_an_abort_needs_a_reason(deploy: Run, cast: dict) -> None:
    tom = cast["tom"]
    with pytest.raises(actions.Refused, match="Give a reason"):
        actions.abort(deploy.rollout, user=tom, why=" no ", by=actor(tom), now=NOW)
