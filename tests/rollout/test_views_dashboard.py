"""The dashboard and the inbox: what waits for whom, and how everything stands."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from monitoring import incidents
from monitoring.audit import SYSTEM
from rollout import transitions
from rollout.models import Heartbeat, Target
from tests import factories
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


def todo(user: User) -> list[str]:
    return [need.do for need in browser(user).get(reverse("inbox")).context["needs"]]


def test_a_decision_waits_for_those_whose_signature_would_count(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.decide(waiting, cast["ann"], "approver")
    assert {name: todo(cast[name]) for name in ("ann", "abe", "olaf", "rita", "aud")} == {
        "ann": [],
        "abe": ["Review and decide"],
        "olaf": ["Review and decide"],
        "rita": [],
        "aud": [],
    }


def test_a_start_waits_for_the_deploy_operator(target: Target, cast: Cast) -> None:
    factories.make_approved(target, cast)
    assert todo(cast["olaf"]) == ["Start it"] and todo(cast["ann"]) == []


def test_a_draft_that_came_back_waits_for_its_owner_with_the_reason(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    factories.put_in(draft, "DRAFT", state_why="the rehearsal failed")
    (need,) = browser(cast["rita"]).get(reverse("inbox")).context["needs"]
    assert "the rehearsal failed" in need.why and todo(cast["olaf"]) == []


@pytest.mark.parametrize("state", ["UNKNOWN", "NOT_RESTORED"])
def test_what_nobody_knows_waits_for_who_may_stop(target: Target, cast: Cast, state: str) -> None:
    factories.put_in(factories.make_waiting(target, cast["rita"]), state, state_why="the worker was lost")
    assert todo(cast["tom"]) == ["Look at the target, then decide"] and todo(cast["rita"]) == []


def test_a_watch_without_a_verdict_waits_for_who_may_stop(target: Target, cast: Cast, tmp_path: Path) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    assert todo(cast["tom"]) == []
    factories.put_in(approved, "WATCHING", needs_decision="too little was observed")
    assert todo(cast["tom"]) == ["Accept it or roll it back"]


def test_a_rollback_waits_for_a_review_by_another_person(target: Target, cast: Cast, tmp_path: Path) -> None:
    views_world.rolled_back(factories.make_approved(target, cast), cast["olaf"], tmp_path)
    assert todo(cast["olaf"]) == [] and todo(cast["mia"]) == ["Review it"]


def test_an_open_incident_waits_for_triage(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    incidents.open(
        subject=transitions.subject_of(waiting),
        severity="P1",
        title="slow",
        summary="p95 is high",
        runbook="rollback",
        by=SYSTEM,
        routes=(),
        url="",
        now=factories.NOW,
    )
    assert todo(cast["tom"]) == ["Take it in hand"] and todo(cast["ann"]) == ["Review and decide"]


def test_the_frame_counts_what_waits(target: Target, cast: Cast) -> None:
    factories.make_approved(target, cast)
    html = browser(cast["olaf"]).get(reverse("rollout_list")).content.decode()
    assert '1<span class="sr-only"> waiting for you</span>' in html


def test_a_tile_a_target_with_its_state(target: Target, cast: Cast, tmp_path: Path) -> None:
    views_world.watched(factories.make_approved(target, cast), cast["olaf"], tmp_path)
    Target.objects.filter(environment__name="staging").update(locked=True, lock_reason="it burns")
    answer = browser(cast["aud"]).get(reverse("dashboard"))
    tiles = {tile.target.environment.name: tile.state for tile in answer.context["tiles"]}
    assert tiles == {"production": "WATCHING", "staging": "LOCKED"} and "it burns" in answer.content.decode()


def test_a_silent_worker_is_named_and_a_living_pulse_is_not(target: Target, cast: Cast) -> None:
    Heartbeat.objects.create(name="pulse@local", counter=1, at=factories.later(58))
    html = browser(cast["aud"]).get(reverse("dashboard")).content.decode()
    assert "No sign of life from worker" in html and "No sign of life from pulse" not in html


@pytest.mark.parametrize("name", ["dashboard", "inbox", "rollout_list"])
def test_the_number_of_queries_does_not_grow_with_the_rollouts(target: Target, cast: Cast, name: str) -> None:
    client, counts = browser(cast["olaf"]), []
    for round_ in range(2):
        for number in range(1 + 6 * round_):
            waiting = factories.make_waiting(target, cast["rita"], f"{round_ + 2}.{number}.0")
            factories.decide(waiting, cast["ann"], "approver")
            factories.put_in(waiting, "WAITING", superseded_by=None)
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse(name))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 30
