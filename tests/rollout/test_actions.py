"""What a person may do, when, and with which role; a token and the machinery may do none of it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import actions, drafting, locking
from rollout.models import Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.base import make_user
from tests.factories import NOW, actor, approve, decide, fresh
from tests.rollout.verbs import VERBS, WHY

pytestmark = pytest.mark.django_db
STOPPERS = {"abe", "olaf", "tom"}
MAY = {
    "submit": {"rita", "ann", "abe", "olaf", "mia"},
    "start": {"abe", "olaf"},
    "abort": STOPPERS,
    "roll_back": STOPPERS,
    "accept": STOPPERS,
    "cancel": STOPPERS | {"rita"},
    "lock": STOPPERS,
    "unlock": STOPPERS,
    "tune": {"rita", "ann", "abe", "olaf", "mia", "tom"},
}


@pytest.fixture
def draft(target: Target, cast: dict[str, User]) -> Rollout:
    """Return a draft of Rita's."""
    return factories.make_draft(target, cast["rita"])


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("via", ["api", "system"])
def test_neither_token_nor_machinery_acts_for_a_person(draft: Rollout, cast: dict, verb: str, via: Any) -> None:
    olaf = cast["olaf"]
    with pytest.raises(actions.Refused, match="A token can never do this"):
        VERBS[verb](draft, olaf, actor(olaf, via))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_nobody_acts_in_another_persons_name(draft: Rollout, cast: dict, verb: str) -> None:
    with pytest.raises(actions.Refused, match="another person"):
        VERBS[verb](draft, cast["olaf"], actor(cast["otto"]))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_is_for_the_roles_that_it_names_and_for_nobody_else(draft: Rollout, cast: dict, verb: str) -> None:
    denied = set()
    for name, user in cast.items():
        try:
            VERBS[verb](fresh(draft), user, actor(user))
        except PermissionDenied:
            denied.add(name)
        except actions.Refused:
            pass  # the role would do; the rollout does not stand where the verb begins
    assert set(cast) - denied == MAY[verb]


def test_a_role_that_was_taken_away_counts_at_once(draft: Rollout, cast: dict) -> None:
    cast["tom"].groups.clear()
    with pytest.raises(PermissionDenied, match="deploy-operator or ops or triage"):
        VERBS["lock"](draft, cast["tom"], actor(cast["tom"]))


def test_a_disabled_person_may_nothing(draft: Rollout, cast: dict) -> None:
    User.objects.filter(username="tom").update(is_active=False)
    with pytest.raises(PermissionDenied):
        VERBS["lock"](draft, cast["tom"], actor(cast["tom"]))


def test_a_role_for_another_component_does_not_count(draft: Rollout, cast: dict) -> None:
    type(cast["tom"].person).objects.filter(user=cast["tom"]).update(components=["other"])
    with pytest.raises(PermissionDenied):
        VERBS["lock"](draft, cast["tom"], actor(cast["tom"]))


def test_a_submit_without_evidence_names_what_is_missing(draft: Rollout, cast: dict) -> None:
    draft.release.artifacts.update(replaced_at=NOW)
    with pytest.raises(actions.Refused, match=r"Still missing: Release archive\."):
        VERBS["submit"](draft, cast["rita"], actor(cast["rita"]))


def test_a_submit_without_a_look_at_the_monitoring_is_refused(draft: Rollout, cast: dict) -> None:
    draft.monitoring_accepted = False
    with pytest.raises(actions.Refused, match="monitoring defaults"):
        VERBS["submit"](draft, cast["rita"], actor(cast["rita"]))


def test_a_second_submit_is_refused(draft: Rollout, cast: dict) -> None:
    VERBS["submit"](draft, cast["rita"], actor(cast["rita"]))
    with pytest.raises(actions.Refused, match="this rollout is validating"):
        VERBS["submit"](fresh(draft), cast["rita"], actor(cast["rita"]))


def test_of_two_submits_at_once_one_loses(draft: Rollout, cast: dict) -> None:
    stale = fresh(draft)
    VERBS["submit"](draft, cast["rita"], actor(cast["rita"]))
    with pytest.raises(actions.ConflictError, match="it is validating now"):
        VERBS["submit"](stale, cast["rita"], actor(cast["rita"]))
    assert draft.runs.count() == 1


def test_the_consents_of_the_policy_approve(target: Target, cast: dict) -> None:
    assert factories.make_approved(target, cast).state == R.APPROVED


def test_a_rejection_ends_the_rollout(target: Target, cast: dict) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    decide(waiting, cast["ann"], "", "REJECT", reason="the migration locks a table")
    assert (fresh(waiting).state, fresh(waiting).state_why) == (R.REJECTED, "the migration locks a table")


def test_a_revoked_approval_returns_to_waiting(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    decide(approved, cast["ann"], "", "REVOKE")
    assert fresh(approved).state == R.WAITING


def test_a_decision_over_another_digest_is_refused(target: Target, cast: dict) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    with pytest.raises(actions.Refused, match="not what is to be signed"):
        decide(waiting, cast["ann"], "approver", digest_seen="0" * 64)


def test_the_requester_cannot_approve(target: Target, cast: dict) -> None:
    cast["rita"].groups.add(*cast["ann"].groups.all())
    waiting = factories.make_waiting(target, cast["rita"])
    with pytest.raises(actions.Refused, match="requester"):
        decide(waiting, cast["rita"], "approver")


def test_who_tuned_the_gates_cannot_approve(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    ann = cast["ann"]
    make_user("ben", "approver")  # so that a quorum is left
    drafting.tune(draft, changes={"p95.limit": "1500"}, accepted=True, user=ann, by=actor(ann), now=NOW)
    with pytest.raises(actions.Refused, match="tuner"):
        decide(factories.freeze(draft), ann, "approver")


def test_a_commit_author_cannot_approve(target: Target, cast: dict) -> None:
    commit = {"sha": "c" * 40, "author": "Ann", "email": "ANN@example.com", "subject": "x"}
    release = factories.make_release(target.component, cast["rita"], commits=[commit])
    draft = factories.make_draft(target, cast["rita"], release=release)
    make_user("ben", "approver")  # so that a quorum is left
    with pytest.raises(actions.Refused, match="commit author"):
        decide(factories.freeze(draft), cast["ann"], "approver")


def test_a_second_owner_of_an_address_does_not_free_the_first(target: Target, cast: dict) -> None:
    commit = {"sha": "c" * 40, "author": "Ann", "email": "ann@example.com", "subject": "x"}
    User.objects.filter(pk=cast["otto"].pk).update(email="ann@example.com")
    release = factories.make_release(target.component, cast["rita"], commits=[commit])
    make_user("ben", "approver")  # so that a quorum is left
    with pytest.raises(actions.Refused, match="commit author"):
        decide(factories.freeze(factories.make_draft(target, cast["rita"], release=release)), cast["ann"], "approver")


@pytest.mark.parametrize("state", [R.DRAFT, R.WAITING, R.VALIDATING, R.QUEUED, R.FAILED, R.ROLLED_BACK])
def test_there_is_nothing_to_roll_back_before_a_change(target: Target, cast: dict, state: str) -> None:
    rollout = factories.put_in(factories.make_draft(target, cast["rita"]), state)
    with pytest.raises(actions.Refused, match="nothing to roll back"):
        VERBS["roll_back"](rollout, cast["tom"], actor(cast["tom"]))


def test_a_cancelled_rollout_closes_its_sign_off(target: Target, cast: dict) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    VERBS["cancel"](waiting, cast["rita"], actor(cast["rita"]))
    assert (waiting.state, fresh(waiting).sign_off.state) == (R.CANCELLED, "SUPERSEDED")


def test_what_runs_is_aborted_not_cancelled(target: Target, cast: dict) -> None:
    run = VERBS["start"](factories.make_approved(target, cast), cast["olaf"], actor(cast["olaf"]))
    with pytest.raises(actions.Refused, match="Abort it instead"):
        VERBS["cancel"](fresh(run.rollout), cast["rita"], actor(cast["rita"]))


def test_a_lock_is_set_once(target: Target, cast: dict) -> None:
    locking.set_lock(target, locked=True, why=WHY, by=SYSTEM, now=NOW)
    with pytest.raises(actions.Refused, match="locked already"):
        locking.set_lock(target, locked=True, why=WHY, by=SYSTEM, now=NOW)


def test_every_verb_leaves_an_entry_in_the_audit(target: Target, cast: dict) -> None:
    approve(factories.make_waiting(target, cast["rita"]), cast)
    told = AuditEntry.objects.filter(subject_kind="rollout").order_by("seq").values_list("action", flat=True)
    assert list(told)[-1] == "rollout.approved"
