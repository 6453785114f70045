"""A command that something else killed left no word of what it did: it is lost, and treated as its driver says."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User

from monitoring.audit import SYSTEM
from rollout import actions, commands, endings, engine, transitions
from rollout.intent import Intent, Outcome
from rollout.models import Effect, Run, Target
from rollout.transitions import hold
from tests import factories
from tests.factories import NOW, actor
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


@pytest.fixture
def killed(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy run whose `switch` was killed while it ran; nobody has looked yet."""
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="switch")
    fake.finish(None, code=-9)
    return run


def be(monkeypatch: pytest.MonkeyPatch, recovery: str) -> None:
    driver = SimpleNamespace(recovery=recovery)
    monkeypatch.setattr(commands, "driver_of", lambda run: driver)


def test_what_can_be_repeated_is_repeated(killed: Run, fake: FakeRunner) -> None:
    engine.advance(killed.pk)
    engine.advance(killed.pk)
    step = killed.steps.get(kind="switch")
    assert (step.state, step.attempt) == ("RUNNING", 2)


def test_what_can_be_asked_is_asked(killed: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "probeable")
    engine.advance(killed.pk)
    assert (killed.steps.get(kind="switch").state, fake.current.name) == ("RUNNING", "probe1")


def test_what_cannot_be_asked_is_unknown(killed: Run, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "opaque")
    engine.advance(killed.pk)
    assert killed.steps.get(kind="switch").state == "UNKNOWN"


def test_one_whose_runner_was_lost_after_its_last_word_has_done_what_it_says(
    target: Target, cast: dict[str, User], fake: FakeRunner
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="switch")
    fake.good_outcome(Intent.read(fake.current)).write(fake.current)
    fake.lose()
    engine.advance(run.pk)
    step = run.steps.get(kind="switch")
    assert (step.state, step.attempt) == ("SUCCEEDED", 1)


def test_one_whose_runner_was_lost_after_it_said_no_has_failed(
    target: Target, cast: dict[str, User], fake: FakeRunner
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="migrate")
    Outcome(result="failed", sentence="column exists").write(fake.current)
    fake.lose()
    engine.advance(run.pk)
    step = run.steps.get(kind="migrate")
    assert (step.state, step.outcome["sentence"]) == ("FAILED", "column exists")


def test_one_that_was_killed_after_its_last_word_has_done_what_it_says(
    target: Target, cast: dict[str, User], fake: FakeRunner
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="switch")
    fake.finish(fake.good_outcome(Intent.read(fake.current)), code=-9)
    engine.advance(run.pk)
    assert run.steps.get(kind="switch").state == "SUCCEEDED"


def test_one_that_its_runner_ended_has_failed(killed: Run, fake: FakeRunner) -> None:
    folder = commands.folder_of(killed.steps.get(kind="switch"))
    fake.ended[folder]["timed_out"] = True
    engine.advance(killed.pk)
    assert killed.steps.get(kind="switch").state == "FAILED"


def test_an_effect_that_is_claimed_while_the_deploy_is_ended_is_rolled_back(
    target: Target, cast: dict[str, User], fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="stage")
    step = run.steps.get(kind="migrate")

    def claimed_just_before(held: Run) -> None:
        transitions.move(step, "RUNNING", by=SYSTEM, now=NOW, attempt=1)  # by another worker
        Effect.objects.create(step=step, attempt=1, what=step.title, intended_at=NOW)
        hold(held)

    monkeypatch.setattr(endings, "hold", claimed_just_before)
    endings.deploy_failed(run, why="changed since it was signed", title="Manifest changed", now=NOW)
    assert factories.fresh(run.rollout).state == "ROLLING_BACK"


def test_a_step_of_a_run_that_was_ended_meanwhile_is_not_claimed(
    target: Target, cast: dict[str, User], fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)

    def ended_just_before(held: Run) -> None:
        Run.objects.filter(pk=held.pk).update(state="FAILED", version=held.version + 1)
        hold(held)

    monkeypatch.setattr(engine, "hold", ended_just_before)
    engine.advance(run.pk)
    assert (run.steps.get(number=1).state, fake.started) == ("PENDING", [])
