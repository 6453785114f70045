"""A newer rollout for the same target closes the older one: each leads to the other, and people are told."""

import pytest
from django.contrib.auth.models import User

from monitoring.models import AuditEntry, Notice
from rollout.models import Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.rollout import views_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(target: Target, cast: dict[str, User]) -> tuple[Rollout, Rollout]:
    """Return an approved rollout, and the newer one that took its place."""
    older = factories.make_approved(target, cast)
    newer = factories.make_draft(target, cast["rita"], "1.2.0")
    return fresh(older), fresh(newer)


def test_the_older_one_is_closed_with_its_sign_off(pair: tuple[Rollout, Rollout]) -> None:
    older, newer = pair
    assert (older.state, older.superseded_by, older.ended_at) == (R.SUPERSEDED, newer, NOW)
    assert older.sign_off and older.sign_off.state == "SUPERSEDED"
    assert older.sign_off.closed_why == f"superseded by rollout {newer.pk} (1.2.0)"


def test_each_page_leads_to_the_other(
    pair: tuple[Rollout, Rollout], cast: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    views_world.stop_clock(monkeypatch)
    browser = views_world.browser(cast["aud"])
    for one, other in (pair, pair[::-1]):
        page = browser.get(one.get_absolute_url()).content.decode()
        assert f'href="{other.get_absolute_url()}">' in page


def test_its_people_are_told_with_the_link(pair: tuple[Rollout, Rollout]) -> None:
    told = Notice.objects.filter(event="rollout_superseded")[0]
    assert pair[1].get_absolute_url() in told.body and "1.2.0" in told.body


def test_the_audit_names_the_newer_one(pair: tuple[Rollout, Rollout]) -> None:
    assert f'"superseded_by":{pair[1].pk}' in AuditEntry.objects.get(action="rollout.superseded").body


def test_one_whose_start_was_clicked_is_not_superseded(target: Target, cast: dict[str, User]) -> None:
    approved = factories.make_approved(target, cast)
    factories.actions.start(approved, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    factories.make_draft(target, cast["rita"], "1.2.0")
    assert fresh(approved).state == R.QUEUED
