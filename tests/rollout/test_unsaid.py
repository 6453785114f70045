"""What GitHub was not asked or told because a message was lost is found from the rows."""

from datetime import datetime

import pytest
from django.contrib.auth.models import User

from monitoring import audit
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import nudge, opening, transitions, unsaid
from rollout.models import EvidenceLink, Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, later

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
URL = "https://github.com/acme/dhash/actions/runs/7"


@pytest.fixture(autouse=True)
def no_queue(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure GitHub, and lose every message."""
    settings.GR_GITHUB_TOKEN = "token"
    monkeypatch.setattr(nudge, "_soon", lambda *message: None)


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    """Return a rollout that has begun to wait for its sign-off."""
    return factories.make_waiting(target, cast["rita"])


def due(now: datetime) -> list[str]:
    """Return the kinds of what should have been done."""
    return sorted(key.partition("-")[0] for key, _ in unsaid.due(now))


def told(rollout: Rollout, action: str, at: datetime) -> None:
    """Write down that something was asked or done."""
    audit.append(action=action, by=SYSTEM, subject=transitions.subject_of(rollout), why="", now=at)


def linked(target: Target, user: User) -> EvidenceLink:
    """Return a CI link that nobody asked about."""
    release = factories.make_draft(target, user).release
    return EvidenceLink.objects.create(
        release=release, kind="ci_ubuntu", url=URL, added_by=user, via="api", added_at=NOW
    )


def test_a_move_that_github_was_not_told_of_is_found(waiting: Rollout) -> None:
    assert due(later(60)) == ["publish"]


def test_a_message_that_may_still_be_on_its_way_is_not_doubled(waiting: Rollout) -> None:
    assert due(later(5)) == []


def test_what_was_told_is_not_told_again(waiting: Rollout) -> None:
    told(waiting, "github.status", later(2))
    assert due(later(60)) == []


def test_what_is_old_is_left(waiting: Rollout) -> None:
    assert due(later(7200)) == []


def test_a_draft_without_a_sign_off_has_no_status(waiting: Rollout) -> None:
    Rollout.objects.update(state=R.DRAFT, sign_off=None)
    assert due(later(60)) == []


def test_a_link_that_nobody_asked_about_is_found(target: Target, cast: Cast) -> None:
    linked(target, cast["rita"])
    assert due(later(60)) == ["check"]


def test_a_link_is_asked_about_again_when_its_validation_begins(target: Target, cast: Cast) -> None:
    link = linked(target, cast["rita"])
    EvidenceLink.objects.update(checked_at=later(1))
    assert due(later(60)) == []
    opening.validate_run(link.release.rollouts.get(), user=cast["rita"], now=later(60))
    assert due(later(90)) == ["check"]


def test_a_merge_that_was_asked_for_is_found_once(waiting: Rollout) -> None:
    told(waiting, "github.status", later(1))
    told(waiting, "github.merge_requested", later(2))
    assert due(later(60)) == ["merge"]
    told(waiting, "github.merge", later(61))
    assert due(later(90)) == []


@pytest.mark.parametrize("written", ["x", "", "-1", "²", "9" * 40])
def test_an_entry_about_no_rollout_stops_nothing(waiting: Rollout, written: str) -> None:
    told(waiting, "rollout.draft", later(1))
    forger.edit(AuditEntry.objects.get(action="rollout.draft"), subject_id=written)
    assert due(later(60)) == ["publish"]


def test_without_a_token_nothing_is_owed(waiting: Rollout, settings) -> None:
    settings.GR_GITHUB_TOKEN = ""
    assert due(later(60)) == []
