"""The incident of a break-glass is closed by nobody who had a part in it, and only with a fresh proof."""

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.urls import reverse

from monitoring.models import Incident
from rollout.models import BreakGlass, Target
from tests import factories
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def glass(target: Target, cast: Cast) -> BreakGlass:
    """Return a break-glass by Abe, over a rollout of Rita."""
    return factories.break_glass(factories.make_waiting(target, cast["rita"]), cast["abe"])


def close(glass: BreakGlass, user: User, *, stale: bool = False) -> HttpResponse:
    words = {"resolution": "it is over, and here is why"}
    return browser(user, stale=stale).post(reverse("incident_close", args=[glass.incident_id]), words)


def state(glass: BreakGlass) -> str:
    return Incident.objects.get(pk=glass.incident_id).state


def page(glass: BreakGlass, user: User, *, stale: bool = False) -> str:
    return browser(user, stale=stale).get(reverse("incident", args=[glass.incident_id])).content.decode()


def test_the_one_who_broke_the_glass_does_not_lift_the_block(glass: BreakGlass, cast: Cast) -> None:
    factories.review_glass(glass, cast["ann"])
    cast["tom"].groups.add(Group.objects.get(name="approver"))
    factories.review_glass(glass, cast["tom"], "OBJECT")
    answer = close(glass, cast["abe"])
    assert (answer.status_code, state(glass)) == (409, "OPEN")
    assert "your account broke the glass" in answer.content.decode()
    assert BreakGlass.objects.holding().exists()


def test_the_requester_does_not_close_it_either(glass: BreakGlass, cast: Cast) -> None:
    assert (close(glass, cast["rita"]).status_code, state(glass)) == (409, "OPEN")


def test_another_responder_closes_it(glass: BreakGlass, cast: Cast) -> None:
    assert (close(glass, cast["tom"]).status_code, state(glass)) == (302, "CLOSED")


def test_an_old_proof_closes_nothing(glass: BreakGlass, cast: Cast) -> None:
    assert (close(glass, cast["tom"], stale=True).status_code, state(glass)) == (409, "OPEN")


def test_the_page_offers_the_form_to_whom_it_serves(glass: BreakGlass, cast: Cast) -> None:
    form = reverse("incident_close", args=[glass.incident_id])
    shown = {name: form in page(glass, cast[name]) for name in ("abe", "rita", "tom", "aud")}
    assert shown == {"abe": False, "rita": False, "tom": True, "aud": False}


def test_the_page_leads_an_old_proof_to_a_new_one(glass: BreakGlass, cast: Cast) -> None:
    found = page(glass, cast["tom"], stale=True)
    assert f"next=/incidents/{glass.incident_id}/&amp;purpose=" in found
    assert reverse("incident_close", args=[glass.incident_id]) not in found
