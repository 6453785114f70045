"""A step that nobody saw end is decided by people: it was done, it was not, or, by two of them, it is tried again."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.ledger import Refused
from monitoring import audit
from monitoring.models import AuditEntry, Incident
from rollout import actions, commands, deciding, engine, leftovers, losing, probing
from rollout.drivers import Answer
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
WHY = "I looked at the machine myself"


class Opaque:
    """A driver that says of a step what a test wants to hear."""

    def __init__(self) -> None:
        self.recovery, self.answer, self.live = "opaque", "unknown", "releases/0002-1.1.0"

    def probe(self, target: object, step_kind: str, params: object) -> Answer:
        """Answer."""
        return Answer(self.answer, self.live, "so the target says")  # type: ignore[arg-type]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Opaque:
    """Return the driver of every run."""
    made = Opaque()
    monkeypatch.setattr(commands, "driver_of", lambda run: made)
    return made


@pytest.fixture
def deploy(target: Target, cast: dict[str, User], fake: FakeRunner, driver: Opaque) -> Run:
    """Return a deploy run that was started and has not begun."""
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def lose_at(run: Run, fake: FakeRunner, kind: str) -> Rollout:
    """Let the runner of a step vanish; return the rollout, which is unknown then."""
    drive(run, fake, stop_at=kind)
    fake.lose()
    engine.advance(run.pk)
    rollout = fresh(run.rollout)
    assert rollout.state == R.UNKNOWN
    return rollout


def decide(what: Any, rollout: Rollout, user: User, *, why: str = WHY, after_s: float = 0) -> Any:
    return what(fresh(rollout), user=user, why=why, by=actor(user), now=NOW + timedelta(seconds=after_s))


def test_a_step_that_was_done_lets_the_run_go_on_with_the_next(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.done, rollout, cast["tom"])
    assert fresh(rollout).state == R.RUNNING
    drive(deploy, fake, stop_at="switch")
    assert fake.kinds.count("migrate") == 1
    assert deploy.steps.get(kind="migrate").state == "SUCCEEDED"


def test_what_was_switched_to_is_live(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    decide(deciding.done, lose_at(deploy, fake, "switch"), cast["tom"])
    assert Target.objects.get(pk=deploy.target_id).live_version == "1.1.0"


def test_done_is_refused_when_the_target_says_otherwise(
    deploy: Run, cast: dict, fake: FakeRunner, driver: Opaque
) -> None:
    rollout = lose_at(deploy, fake, "switch")
    driver.answer = "not_done"
    with pytest.raises(Refused, match="The target says that it did not happen"):
        decide(deciding.done, rollout, cast["tom"])
    assert fresh(rollout).state == R.UNKNOWN


def test_a_proof_is_not_taken_on_trust(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="check")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    fake.release()
    with pytest.raises(Refused, match="not taken on trust"):
        decide(deciding.done, deploy.rollout, cast["tom"])


def test_a_first_effect_that_was_not_done_leaves_nothing_to_undo(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.not_done, rollout, cast["tom"])
    deploy.refresh_from_db()
    assert (fresh(rollout).state, deploy.state) == (R.FAILED, "FAILED")


def test_a_later_effect_that_was_not_done_rolls_back_the_earlier(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "switch")
    decide(deciding.not_done, rollout, cast["tom"])
    assert fresh(rollout).state == R.ROLLING_BACK


def unknown_rollback(deploy: Run, fake: FakeRunner) -> tuple[Rollout, Run]:
    drive(deploy, fake, fail_at="check")
    rollback = Run.objects.get(rollout=deploy.rollout, kind="rollback")
    return lose_at(rollback, fake, "restore"), rollback


def test_a_rollback_whose_step_was_not_done_has_not_restored(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout, rollback = unknown_rollback(deploy, fake)
    decide(deciding.not_done, rollout, cast["tom"])
    rollback.refresh_from_db()
    assert (fresh(rollout).state, rollback.state) == (R.NOT_RESTORED, "FAILED")


@pytest.mark.parametrize("what", [deciding.done, deciding.try_again])
def test_nothing_goes_on_that_somebody_asked_to_abort(deploy: Run, cast: dict, fake: FakeRunner, what: Any) -> None:
    drive(deploy, fake, stop_at="migrate")
    actions.abort(fresh(deploy.rollout), user=cast["tom"], why="wrong day", by=actor(cast["tom"]), now=NOW)
    fake.lose()
    engine.advance(deploy.pk)
    assert fresh(deploy.rollout).state == R.UNKNOWN
    with pytest.raises(Refused, match="asked to abort it: it will not go on"):
        decide(what, deploy.rollout, cast["olaf"])


def test_a_rollback_whose_step_was_done_goes_on_rolling_back(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout, rollback = unknown_rollback(deploy, fake)
    decide(deciding.done, rollout, cast["tom"])
    assert fresh(rollout).state == R.ROLLING_BACK
    drive(rollback, fake)
    assert fresh(rollout).state == R.ROLLED_BACK


def test_one_person_only_asks_for_another_try(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    assert decide(deciding.try_again, rollout, cast["tom"]) is False
    assert fresh(rollout).state == R.UNKNOWN


def test_the_same_person_cannot_confirm_it(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.try_again, rollout, cast["tom"])
    with pytest.raises(Refused, match="another person"):
        decide(deciding.try_again, rollout, cast["tom"])


def test_two_people_have_it_started_again(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.try_again, rollout, cast["tom"])
    assert decide(deciding.try_again, rollout, cast["olaf"], after_s=3599) is True
    drive(deploy, fake, stop_at="switch")
    assert fake.kinds.count("migrate") == 2
    assert deploy.steps.get(kind="migrate").attempt == 2


@pytest.mark.parametrize("after_s", [3601, -7200])
def test_what_was_asked_too_long_ago_is_asked_anew(deploy: Run, cast: dict, fake: FakeRunner, after_s: float) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.try_again, rollout, cast["tom"])
    assert decide(deciding.try_again, rollout, cast["olaf"], after_s=after_s) is False
    deploy.refresh_from_db()
    assert deploy.again_by == cast["olaf"]


EDITED = r"The audit does not bear out that olaf asked: .*; the database was edited"


def refused_as_edited(run: Run, cast: dict) -> bool:
    """Say whether tom, who confirms, is told that the database was edited, and nothing moves."""
    with pytest.raises(Refused, match=EDITED):
        decide(deciding.try_again, run.rollout, cast["tom"])
    return fresh(run.rollout).state == R.UNKNOWN and run.steps.filter(state="UNKNOWN").exists()


def test_what_a_row_says_that_another_asked_for_is_not_confirmed(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    lose_at(deploy, fake, "migrate")
    forger.edit(deploy, again_by_id=cast["olaf"].pk, again_why=WHY, again_at=NOW)
    assert refused_as_edited(deploy, cast)


def test_what_one_asked_for_oneself_is_not_confirmed_under_anothers_name(
    deploy: Run, cast: dict, fake: FakeRunner
) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "migrate"), cast["tom"])
    forger.edit(deploy, again_by_id=cast["olaf"].pk)
    assert refused_as_edited(deploy, cast)


@pytest.mark.parametrize("column", [{"again_at": NOW + timedelta(minutes=59)}, {"again_why": "he said so"}])
def test_what_was_asked_for_is_not_confirmed_with_another_time_or_reason(
    deploy: Run, cast: dict, fake: FakeRunner, column: dict[str, Any]
) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "migrate"), cast["olaf"])
    forger.edit(deploy, **column)
    with pytest.raises(Refused, match=EDITED):
        decide(deciding.try_again, deploy.rollout, cast["tom"], after_s=3599)


@pytest.fixture
def answered(deploy: Run, cast: dict, fake: FakeRunner) -> Run:
    """Return a run whose step is unknown at its second attempt, and whose row tells of the request for that again."""
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.try_again, rollout, cast["olaf"])
    decide(deciding.try_again, rollout, cast["tom"])
    lose_at(deploy, fake, "migrate")
    forger.edit(deploy, again_by_id=cast["olaf"].pk, again_why=WHY, again_at=NOW)
    return deploy


def test_what_was_confirmed_already_is_not_confirmed_for_the_next_attempt(answered: Run, cast: dict) -> None:
    assert refused_as_edited(answered, cast)


def test_an_answer_that_was_hidden_still_counts(answered: Run, cast: dict) -> None:
    for one in AuditEntry.objects.filter(subject_kind="run", seq__gt=AuditEntry.objects.get(action=deciding.ASKED).seq):
        forger.edit(one, subject_id="0")
    forger.edit(answered.steps.get(kind="migrate"), attempt=1)
    assert refused_as_edited(answered, cast)


def test_a_request_whose_entry_was_edited_is_not_confirmed(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "migrate"), cast["tom"])
    forger.edit(deploy, again_by_id=cast["olaf"].pk)
    entry = AuditEntry.objects.get(action=deciding.ASKED)
    forger.edit(entry, body=entry.body.replace(f'"id":{cast["tom"].pk},', f'"id":{cast["olaf"].pk},'))
    assert refused_as_edited(deploy, cast)


def test_a_request_is_for_the_step_that_was_unknown_then(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "switch"), cast["olaf"])
    forger.edit(deploy.steps.get(kind="switch"), state="PENDING")
    forger.edit(deploy.steps.get(kind="migrate"), state="UNKNOWN")
    assert refused_as_edited(deploy, cast)


def test_who_asked_may_be_renamed_meanwhile(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "migrate"), cast["olaf"])
    User.objects.filter(pk=cast["olaf"].pk).update(username="oscar", first_name="Oscar")
    assert decide(deciding.try_again, deploy.rollout, cast["tom"]) is True


def test_who_asked_may_be_erased_from_the_audit_meanwhile(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    decide(deciding.try_again, lose_at(deploy, fake, "migrate"), cast["olaf"])
    audit.erase_person(cast["olaf"].pk, before=NOW + timedelta(days=1), by=audit.SYSTEM, why="asked", now=NOW)
    assert decide(deciding.try_again, deploy.rollout, cast["tom"]) is True


DECISIONS = [deciding.done, deciding.not_done, deciding.try_again]


@pytest.mark.parametrize("what", DECISIONS)
def test_nothing_is_decided_while_a_command_holds_the_target(
    deploy: Run, cast: dict, fake: FakeRunner, what: Any
) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    fake.held_by_others.add(commands.lock_path(deploy.target))
    with pytest.raises(Refused, match="still holds"):
        decide(what, rollout, cast["tom"])


@pytest.mark.parametrize("what", DECISIONS)
def test_nothing_is_decided_about_what_is_known(deploy: Run, cast: dict, fake: FakeRunner, what: Any) -> None:
    drive(deploy, fake, stop_at="migrate")
    with pytest.raises(Refused, match="nothing to decide: the rollout is running"):
        decide(what, deploy.rollout, cast["tom"])


@pytest.mark.parametrize("what", DECISIONS)
def test_it_needs_a_role_and_a_reason(deploy: Run, cast: dict, fake: FakeRunner, what: Any) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    with pytest.raises(PermissionDenied, match="deploy-operator"):
        decide(what, rollout, cast["rita"])
    with pytest.raises(Refused, match="reason"):
        decide(what, rollout, cast["tom"], why="ok")


def test_each_decision_stands_in_the_audit_and_in_the_incident(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    decide(deciding.try_again, rollout, cast["tom"])
    decide(deciding.try_again, rollout, cast["olaf"])
    decide(deciding.done, lose_at(deploy, fake, "migrate"), cast["tom"])
    entries = AuditEntry.objects.filter(action__startswith="run.", subject_id=str(deploy.pk)).order_by("seq")
    found = entries.values_list("action", flat=True)
    assert [one for one in found if "again" in one or "decided" in one] == [
        "run.again_asked",
        "run.again_confirmed",
        "run.decided_done",
    ]
    assert Incident.objects.get().entries.filter(text__contains=WHY).count() == 3


def test_what_goes_on_has_an_epoch_that_nothing_has_seen(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    deploy.refresh_from_db()
    before = deploy.epoch
    decide(deciding.done, rollout, cast["tom"])
    deploy.refresh_from_db()
    assert deploy.epoch == Target.objects.get(pk=deploy.target_id).epoch == before + 1


@pytest.fixture
def elsewhere(deploy: Run, fake: FakeRunner, settings: LazySettings) -> Rollout:
    """Return a rollout whose first effect is unknown on another host, which said nothing since."""
    rollout = lose_at(deploy, fake, "migrate")
    settings.GR_HOST_ID = "here"
    return rollout


@pytest.mark.parametrize("what", [deciding.done, deciding.try_again])
def test_nothing_goes_on_before_its_host_has_answered(elsewhere: Rollout, cast: dict, what: Any) -> None:
    with pytest.raises(Refused, match="Host local has not answered since"):
        decide(what, elsewhere, cast["tom"])


def test_not_done_of_a_host_that_has_not_answered_is_rolled_back_there(elsewhere: Rollout, cast: dict) -> None:
    decide(deciding.not_done, elsewhere, cast["tom"])
    assert fresh(elsewhere).state == R.ROLLING_BACK


def test_not_done_of_a_host_that_has_answered_leaves_nothing_to_undo(elsewhere: Rollout, cast: dict) -> None:
    elsewhere.runs.filter(kind="deploy").update(probe={"held": False, "answer": "unknown"}, probed_at=NOW)
    decide(deciding.not_done, elsewhere, cast["tom"])
    assert fresh(elsewhere).state == R.FAILED


def test_an_answer_about_an_earlier_step_does_not_stand_for_the_next(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    rollout = lose_at(deploy, fake, "migrate")
    probing.look(deploy.pk, NOW)
    decide(deciding.done, rollout, cast["tom"])
    lose_at(deploy, fake, "switch")
    deploy.refresh_from_db()
    assert (deploy.probe, deploy.probed_at) == ({}, None)


def test_an_answer_that_comes_late_is_not_one_about_the_next_step(
    deploy: Run, cast: dict, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = lose_at(deploy, fake, "migrate")

    def slowly(run: Run) -> dict[str, Any]:
        decide(deciding.done, rollout, cast["tom"])
        lose_at(deploy, fake, "switch")
        return {"held": False}

    monkeypatch.setattr(probing, "see", slowly)
    probing.look(deploy.pk, NOW)
    deploy.refresh_from_db()
    assert deploy.probed_at is None


def test_a_step_that_was_given_up_before_its_worker_started_it_never_starts(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    fake.started.remove(fake.current)
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    leftovers.stop_late()
    assert fake.cancelled == {fake.current}


def test_a_step_that_runs_while_it_is_unknown_runs_to_its_end(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    losing.host_lost(Run.objects.get(pk=deploy.pk), now=NOW)
    leftovers.stop_late()
    assert fake.cancelled == set()


def test_a_step_that_has_failed_meanwhile_is_asked_to_end(deploy: Run, cast: dict, fake: FakeRunner) -> None:
    drive(deploy, fake, stop_at="migrate")
    rollout, olaf = factories.fresh(deploy.rollout), cast["olaf"]
    actions.roll_back(rollout, user=olaf, why="it takes too long", by=actor(olaf), now=NOW)
    assert deploy.steps.get(kind="migrate").state == "FAILED" and fake.cancelled == set()
    leftovers.stop_late()
    assert fake.cancelled == {fake.current}
