"""An abort is what the audit tells of it: no row asks for one, takes one back, or keeps a person from asking."""

import pytest

from approvals.ledger import Refused
from monitoring import audit
from rollout import actions, deciding, endings, engine, hosts, standing, transitions, wanting
from rollout.models import Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.rollout.test_edited_rows import Cast, started, state
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
WHY = "It looks wrong to me."


def aborted(run: Run, cast: Cast) -> Run:
    olaf = cast["olaf"]
    actions.abort(fresh(run.rollout), user=olaf, why=WHY, by=actor(olaf), now=NOW)
    return Run.objects.get(pk=run.pk)


def test_no_row_keeps_a_person_from_aborting(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    forger.edit(deploy, abort_requested=True, abort_by="x", abort_why="y")
    page = browser(cast["olaf"]).get(fresh(deploy.rollout).get_absolute_url()).content.decode()
    assert 'popovertarget="sheet-abort"' in page
    assert aborted(deploy, cast).abort_by == "olaf"
    with pytest.raises(Refused, match="asked for already"):
        aborted(deploy, cast)


@pytest.mark.parametrize("stop", ["check", "preflight", ""])
def test_no_row_takes_an_abort_back(target: Target, cast: Cast, fake: FakeRunner, stop: str) -> None:
    deploy = drive(started(target, cast), fake, stop_at=stop)
    forger.edit(aborted(deploy, cast), abort_requested=False)
    engine.advance(deploy.pk)
    if stop:
        assert fake.cancelled == {fake.current}
        fake.end_cancelled()
        engine.advance(deploy.pk)
    assert state(deploy)[1] == ("CANCELLED" if stop == "preflight" else "ROLLING_BACK")


def test_an_abort_between_two_steps_is_done_whatever_the_row_says(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="check")
    forger.edit(aborted(deploy, cast), abort_requested=False)
    fake.succeed()
    engine.advance(deploy.pk)
    assert state(deploy)[1] == "ROLLING_BACK"


def test_pulse_finds_an_abort_that_a_row_takes_back_and_none_that_only_a_row_tells_of(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(deploy, abort_requested=True)
    assert wanting.why(Run.objects.get(pk=deploy.pk)) == ""
    forger.edit(aborted(deploy, cast), abort_requested=False)
    assert wanting.why(Run.objects.get(pk=deploy.pk)) == "watch-"


@pytest.mark.parametrize("asked", [False, True])
def test_a_silent_host_is_needed_for_an_abort_by_what_the_audit_tells(target: Target, cast: Cast, asked: bool) -> None:
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    if asked:
        aborted(run, cast)
    forger.edit(run, abort_requested=not asked, host_id="b")
    assert hosts.at_risk() == (["b"] if asked else [])


def test_no_row_keeps_people_from_deciding(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="switch")
    endings.unknown(deploy, deploy.steps.get(kind="switch"), why="its runner was lost", now=NOW)
    fake.release()
    forger.edit(deploy, abort_requested=True, abort_by="ann")
    olaf = cast["olaf"]
    with pytest.raises(Refused, match="The target says"):
        deciding.done(fresh(deploy.rollout), user=olaf, why="I looked, it is live.", by=actor(olaf), now=NOW)


def test_an_abort_that_was_taken_back_can_be_asked_for_again(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = aborted(drive(started(target, cast), fake), cast)
    with audit.turn():
        subject = transitions.subject_of(deploy)
        audit.append(action=standing.NO_ABORT, by=audit.SYSTEM, subject=subject, now=NOW)
    assert not standing.is_to_abort(deploy)
    assert standing.is_to_abort(aborted(deploy, cast))


def test_it_costs_a_look_one_query_by_the_index(
    target: Target, cast: Cast, fake: FakeRunner, django_assert_num_queries
) -> None:
    deploy = drive(started(target, cast), fake)
    with django_assert_num_queries(1):
        assert not standing.is_to_abort(deploy)
