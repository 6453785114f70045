"""Nothing starts but what was approved, and consent, lock and freeze are asked again when it begins."""

from datetime import timedelta

import pytest

from monitoring import anchors
from rollout import actions, engine, locking
from rollout.models import Freeze, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh, later
from tests.fakes import FakeRunner, drive
from tests.rollout.verbs import VERBS
from tests.rollout.views_world import stop_clock

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine see a moment in which the sign-offs of the factories are still good."""
    stop_clock(monkeypatch)


def test_a_rollout_cannot_start_before_it_is_approved(target: Target, cast: dict) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    with pytest.raises(actions.Refused, match="Sign-offs are missing"):
        VERBS["start"](waiting, cast["olaf"], actor(cast["olaf"]))


def test_a_start_is_queued_with_a_deploy_run(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    run = VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))
    assert (run.kind, run.state, approved.state) == ("deploy", "QUEUED", R.QUEUED)


def test_of_two_starts_at_once_one_loses(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    stale = fresh(approved)
    VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))
    with pytest.raises(actions.ConflictError):
        VERBS["start"](stale, cast["abe"], actor(cast["abe"]))
    assert Run.objects.filter(kind="deploy").count() == 1


def test_a_quorum_that_broke_after_the_approval_is_refused_at_the_click(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    cast["abe"].groups.clear()
    with pytest.raises(actions.Refused, match="the sign-off is not complete; missing: ops"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))
    assert not Run.objects.filter(kind="deploy").exists() and fresh(approved).state == R.APPROVED


def test_a_decision_that_was_edited_in_the_database_is_refused_at_the_click(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    forger.edit(approved.sign_off.decisions.first(), reason="all is well")
    with pytest.raises(actions.Refused, match="The database was edited"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))


def test_nothing_starts_on_a_locked_target(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    locking.lock(approved.target, user=cast["tom"], why="disk is being changed", by=actor(cast["tom"]), now=NOW)
    with pytest.raises(actions.Refused, match="locked by tom: disk is being changed"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the anchor file know an entry that the database does not hold."""
    monkeypatch.setattr(anchors, "last", lambda: anchors.Point(9999, "ab" * 32))


def test_nothing_starts_on_a_database_that_was_set_back(target: Target, cast: dict, set_back: None) -> None:
    approved = factories.make_approved(target, cast)
    with pytest.raises(actions.Refused, match="the database was set back"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))


def test_what_was_queued_before_waits_with_that_reason(
    target: Target, cast: dict, monkeypatch: pytest.MonkeyPatch, fake: FakeRunner
) -> None:
    approved = factories.make_approved(target, cast)
    run = VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))
    monkeypatch.setattr(anchors, "last", lambda: anchors.Point(9999, "ab" * 32))
    engine.advance(run.pk)
    assert fresh(approved).state == R.QUEUED and "the database was set back" in fresh(approved).state_why


@pytest.mark.parametrize(("everywhere", "refused"), [(True, True), (False, False)])
def test_a_freeze_holds_where_it_is_declared(target: Target, cast: dict, everywhere: bool, refused: bool) -> None:
    approved = factories.make_approved(target, cast)
    staging = target.component.targets.get(environment__name="staging").environment
    Freeze.objects.create(
        component=target.component,
        environment=None if everywhere else staging,
        starts_at=later(-60),
        ends_at=later(60),
        reason="Black Friday",
        by=cast["ada"],
    )
    if not refused:
        assert VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))
        return
    with pytest.raises(actions.Refused, match=r"frozen until .*Black Friday"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))


@pytest.mark.parametrize("state", [R.UNKNOWN, R.NOT_RESTORED])
def test_nothing_starts_beside_a_rollout_that_a_person_has_to_decide(target: Target, cast: dict, state: str) -> None:
    stuck = factories.put_in(factories.make_draft(target, cast["rita"]), state)
    approved = factories.make_approved(target, cast, "1.2.0")
    with pytest.raises(actions.Refused, match=f"rollout {stuck.pk} is"):
        VERBS["start"](approved, cast["olaf"], actor(cast["olaf"]))


def test_nothing_starts_on_a_retired_target(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    Target.objects.filter(pk=target.pk).update(retired=True)
    with pytest.raises(actions.Refused, match="retired"):
        VERBS["start"](fresh(approved), cast["olaf"], actor(cast["olaf"]))


def queued(target: Target, cast: dict) -> Run:
    return VERBS["start"](factories.make_approved(target, cast), cast["olaf"], actor(cast["olaf"]))


def test_a_starter_who_lost_his_role_meanwhile_does_not_start(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = queued(target, cast)
    cast["olaf"].groups.clear()
    engine.advance(run.pk)
    assert fresh(run.rollout).state == R.DRAFT


def test_an_approver_who_lost_his_role_meanwhile_does_not_count(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = queued(target, cast)
    cast["abe"].groups.clear()
    engine.advance(run.pk)
    assert "missing" in fresh(run.rollout).state_why


def test_a_target_that_was_locked_meanwhile_lets_it_wait(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = queued(target, cast)
    tom = {"user": cast["tom"], "by": actor(cast["tom"]), "now": NOW}
    locking.lock(target, why="disk is being changed", **tom)
    engine.advance(run.pk)
    assert fresh(run.rollout).state == R.QUEUED
    locking.unlock(target, why="disk is changed", **tom)
    engine.advance(run.pk)
    assert fresh(run.rollout).state == R.RUNNING


def test_a_run_waits_behind_another_and_begins_after_it(target: Target, cast: dict, fake: FakeRunner) -> None:
    rita = cast["rita"]
    staging = factories.make_draft(target, rita)
    ahead = actions.submit(staging, user=rita, by=actor(rita), now=NOW)
    engine.advance(ahead.pk)
    run = queued_beside(target, cast)
    engine.advance(run.pk)
    assert (Run.objects.get(pk=run.pk).state, fresh(run.rollout).state) == ("QUEUED", R.QUEUED)
    drive(ahead, fake)
    engine.advance(run.pk)
    assert Run.objects.get(pk=run.pk).state == "RUNNING"


def queued_beside(target: Target, cast: dict) -> Run:
    """Queue a deploy while a validate run of another rollout holds the target."""
    return VERBS["start"](factories.make_approved(target, cast, "1.2.0"), cast["olaf"], actor(cast["olaf"]))


def test_what_was_not_started_in_time_expires(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    actions.expire_due(NOW + timedelta(days=1))
    assert fresh(approved).state == R.EXPIRED


def test_what_waited_in_the_queue_too_long_expires_with_its_run(target: Target, cast: dict) -> None:
    run = queued(target, cast)
    actions.expire_due(NOW + timedelta(days=1))
    assert (Run.objects.get(pk=run.pk).state, fresh(run.rollout).state) == ("CANCELLED", R.EXPIRED)


def test_what_is_not_due_stays(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    actions.expire_due(NOW + timedelta(hours=23))
    assert fresh(approved).state == R.APPROVED
