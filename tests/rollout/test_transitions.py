"""A move is a compare-and-swap: it happens whole, with its audit entry and its notice, or not at all."""

import pytest
from django.contrib.auth.models import User

from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry, Notice
from rollout import transitions
from rollout.models import Rollout, Target
from rollout.states import RolloutState as R
from rollout.transitions import ConflictError
from tests import factories
from tests.factories import NOW, fresh

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(target: Target, cast: dict[str, User]) -> Rollout:
    """Return a draft."""
    return factories.make_draft(target, cast["rita"])


def test_a_move_changes_state_version_and_columns(draft: Rollout) -> None:
    transitions.move(draft, R.CANCELLED, by=SYSTEM, now=NOW, ended_at=NOW)
    row = fresh(draft)
    assert (row.state, row.version, row.ended_at) == (draft.state, draft.version, NOW) == (R.CANCELLED, 1, NOW)


def test_a_move_that_the_table_does_not_know_is_an_error(draft: Rollout) -> None:
    with pytest.raises(ValueError, match="cannot go from DRAFT to RUNNING"):
        transitions.move(draft, R.RUNNING, by=SYSTEM, now=NOW)


def test_who_comes_second_loses_and_is_told_where_it_stands(draft: Rollout) -> None:
    stale = fresh(draft)
    transitions.move(draft, R.CANCELLED, by=SYSTEM, now=NOW)
    with pytest.raises(ConflictError, match="was draft when you looked; it is cancelled now"):
        transitions.move(stale, R.VALIDATING, by=SYSTEM, now=NOW)


def test_who_comes_second_loses_also_when_he_wants_what_could_not_be_from_where_it_stood(draft: Rollout) -> None:
    stale = fresh(draft)
    transitions.move(draft, R.VALIDATING, by=SYSTEM, now=NOW)
    with pytest.raises(ConflictError, match="was draft when you looked; it is validating now"):
        transitions.move(stale, R.WAITING, by=SYSTEM, now=NOW)


def test_a_lost_move_leaves_nothing_behind(draft: Rollout) -> None:
    stale = fresh(draft)
    transitions.move(draft, R.VALIDATING, by=SYSTEM, now=NOW)
    transitions.move(draft, R.DRAFT, by=SYSTEM, now=NOW)
    before = (AuditEntry.objects.count(), Notice.objects.count())
    with pytest.raises(ConflictError):
        transitions.move(stale, R.VALIDATING, by=SYSTEM, now=NOW)
    assert (AuditEntry.objects.count(), Notice.objects.count(), stale.state) == (*before, R.DRAFT)


def test_a_move_is_audited_with_old_new_and_reason(draft: Rollout) -> None:
    transitions.move(draft, R.CANCELLED, by=SYSTEM, now=NOW, why="no longer wanted")
    told = AuditEntry.objects.order_by("seq").values_list("action", "old", "new", "why").last()
    assert told == ("rollout.cancelled", "DRAFT", "CANCELLED", "no longer wanted")


@pytest.mark.parametrize("to", [R.WAITING, R.RUNNING, R.SUCCEEDED, R.ROLLING_BACK, R.NOT_RESTORED, R.UNKNOWN])
def test_whoever_has_to_know_is_told_of(to: str) -> None:
    assert ("rollout", to) in transitions.NOTICES


def test_a_rollback_is_told_as_critical() -> None:
    assert transitions.NOTICES["rollout", R.ROLLING_BACK] == ("rollback_started", "critical")
