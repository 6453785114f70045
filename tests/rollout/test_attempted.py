"""What a deploy changed is undone, or a person is asked, also where somebody wrote that nothing was changed."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from monitoring.models import AuditEntry
from rollout import actions, attempted, engine, journal
from rollout.management.commands import rollback
from rollout.models import Effect, Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.rollout.test_edited_rows import Cast, started, state
from tests.rollout.test_opened import asked_for, breached

pytestmark = pytest.mark.django_db


def by_the_journal(deploy: Run) -> None:
    never = f"{Effect.NEVER}: its command was never started"
    Effect.objects.filter(step__run=deploy).update(observed=never, observed_at=NOW)


def by_attempts(deploy: Run) -> None:
    deploy.steps.filter(effect=True).update(attempt=0)


def by_effects(deploy: Run) -> None:
    deploy.steps.update(effect=False)


def fails(deploy: Run, user: User, fake: FakeRunner) -> None:
    fake.fail("smoke test 3 failed")
    engine.advance(deploy.pk)


def is_aborted(deploy: Run, user: User, fake: FakeRunner) -> None:
    actions.abort(fresh(deploy.rollout), user=user, why="It looks wrong to me.", by=actor(user), now=NOW)
    engine.advance(deploy.pk)
    fake.end_cancelled()
    engine.advance(deploy.pk)


hidden = pytest.mark.parametrize("hide", [by_the_journal, by_attempts, by_effects])
ended = pytest.mark.parametrize("end", [fails, is_aborted])


@hidden
@ended
def test_a_deploy_whose_rows_say_that_nothing_was_changed_is_rolled_back(
    target: Target, cast: Cast, fake: FakeRunner, hide: Callable, end: Callable
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    hide(deploy)
    end(deploy, cast["olaf"], fake)
    assert fresh(deploy.rollout).state == "ROLLING_BACK"


@hidden
def test_a_breach_is_rolled_back_though_rows_say_that_nothing_was_changed(
    target: Target, cast: Cast, fake: FakeRunner, hide: Callable
) -> None:
    deploy = drive(started(target, cast), fake)
    hide(deploy)
    assert breached(deploy, cast).state == "RUNNING"


@hidden
def test_a_person_rolls_back_though_rows_say_that_nothing_was_changed(
    target: Target, cast: Cast, fake: FakeRunner, hide: Callable
) -> None:
    deploy = drive(started(target, cast), fake)
    hide(deploy)
    assert asked_for(deploy, cast).state == "RUNNING"


@hidden
def test_the_command_rolls_back_the_rollout_that_was_named_whatever_its_rows_say(
    target: Target, cast: Cast, fake: FakeRunner, hide: Callable
) -> None:
    deploy = drive(started(target, cast), fake)
    hide(deploy)
    assert rollback.rollout_to_undo(target, deploy.rollout_id).pk == deploy.rollout_id


@hidden
def test_nothing_is_undone_below_a_release_whose_rows_say_that_it_changed_nothing(
    target: Target, cast: Cast, fake: FakeRunner, hide: Callable
) -> None:
    older = drive(started(target, cast), fake)
    factories.decide_watches("PASSED")
    engine.advance(older.pk)
    newer = drive(started(target, cast, "1.2.0"), fake)
    hide(newer)
    with pytest.raises(actions.Refused, match="changed dhash/production after it"):
        asked_for(older, cast)


@ended
@pytest.mark.parametrize("action", [journal.INTENDED, "rollout.running"])
def test_a_deploy_is_parked_where_entries_of_its_attempts_may_be_gone(
    target: Target, cast: Cast, fake: FakeRunner, action: str, end: Callable
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    by_the_journal(deploy)
    for entry in AuditEntry.objects.filter(action=action):
        forger.remove(entry)
    end(deploy, cast["olaf"], fake)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")


def test_what_is_told_not_to_have_happened_leaves_nothing_to_undo(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    step = deploy.steps.get(state="RUNNING")
    assert attempted.changes(deploy.rollout).possible
    journal.did_not_happen(step, "its command was never started", now=NOW)
    assert attempted.changes(deploy.rollout) == attempted.Changes(possible=False)


def test_it_is_told_once_that_an_attempt_did_not_happen(target: Target, cast: Cast, fake: FakeRunner) -> None:
    step = drive(started(target, cast), fake, stop_at="migrate").steps.get(state="RUNNING")
    for _ in range(2):
        journal.did_not_happen(step, "its command was never started", now=NOW)
    assert AuditEntry.objects.filter(action=journal.DID_NOT_HAPPEN).count() == 1


@pytest.mark.parametrize("never", [False, True])
def test_of_a_deploy_that_an_older_version_began_the_steps_and_the_rows_tell(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch, never: bool
) -> None:
    monkeypatch.setattr(journal, "_tell", lambda *_, **__: None)
    deploy = drive(started(target, cast), fake, stop_at="check")
    if never:
        by_the_journal(deploy)
    assert attempted.changes(deploy.rollout) == attempted.Changes(possible=not never)


def test_what_was_rolled_back_before_is_left_to_people(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    assert not attempted.is_left_to_people(deploy.rollout)
    breached(deploy, cast)
    assert attempted.is_left_to_people(deploy.rollout)


def test_a_rollback_that_is_withheld_is_that_of_this_rollout_alone(target: Target, cast: Cast) -> None:
    one, other = factories.make_draft(target, cast["rita"]), factories.make_draft(target, cast["rita"], "1.2.0")
    journal.withhold_rollback(one, why="another release may be live by now", now=NOW)
    assert [(fresh(row).automatic_rollback_used, attempted.is_left_to_people(row)) for row in (one, other)] == [
        (True, True),
        (False, False),
    ]
