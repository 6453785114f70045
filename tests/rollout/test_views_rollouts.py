"""The page of a rollout tells its story; the list filters; a new one is made; query counts do not grow."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rollout import drafting
from rollout.models import Rollout, Target
from tests import factories
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


def page(rollout: Rollout, user: User) -> str:
    answer = browser(user).get(rollout.get_absolute_url())
    assert answer.status_code == 200
    return words(answer.content.decode())


def words(html: str) -> str:
    """Return the words of a page, without its tags, one space between them."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_draft_says_what_is_missing(target: Target, cast: Cast) -> None:
    release = drafting.create_release(
        target.component,
        version="1.1.0",
        commit="a" * 40,
        user=cast["rita"],
        by=factories.actor(cast["rita"]),
        now=factories.NOW,
    )
    draft = factories.make_draft(target, cast["rita"], release=release)
    assert "Still to be brought: Release archive." in page(draft, cast["rita"])


def test_a_complete_draft_offers_to_submit_to_its_owner(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    url = reverse("rollout_submit", args=[draft.pk])
    assert url in browser(cast["rita"]).get(draft.get_absolute_url()).content.decode()
    assert url not in browser(cast["aud"]).get(draft.get_absolute_url()).content.decode()


def test_a_waiting_rollout_names_the_missing_seats_and_who_can_fill_them(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.decide(waiting, cast["ann"], "approver")
    said = page(waiting, cast["aud"])
    assert "2 signatures are missing: ops and deploy-operator." in said
    assert "Abe (ops)" in said and "Olaf (deploy-operator)" in said
    assert "Rita holds none of the roles approver, ops, deploy-operator" in said


def test_the_decision_form_offers_only_duties_that_would_fill_a_seat(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    html = browser(cast["olaf"]).get(waiting.get_absolute_url()).content.decode()
    assert re.findall(r'name="duty" value="([^"]*)"', html) == ["deploy-operator"]
    assert f'value="{waiting.digest}"' in html


def test_the_requester_is_told_why_he_cannot_approve(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    html = browser(cast["rita"]).get(waiting.get_absolute_url()).content.decode()
    assert 'value="APPROVE"' not in html
    assert "You cannot decide here" in html


def test_tuning_is_shown_with_its_direction(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    values = {"changes": {"p95.limit": "2500"}, "accepted": True, "user": cast["rita"]}
    drafting.tune(draft, **values, by=factories.actor(cast["rita"]), now=factories.NOW)
    said = page(factories.freeze(draft), cast["ann"])
    assert "p95: limit" in said and "looser: less is caught, or later" in said


def test_the_start_button_is_for_who_may_start(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    url = reverse("rollout_start", args=[approved.pk])
    assert url in browser(cast["olaf"]).get(approved.get_absolute_url()).content.decode()
    assert url not in browser(cast["ann"]).get(approved.get_absolute_url()).content.decode()


def test_before_the_first_effect_only_abort_is_offered_and_after_it_also_rollback(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    run = views_world.started(factories.make_approved(target, cast), cast["olaf"])
    views_world.ran(run, 3, running=True)
    views_world.backed_up(run, tmp_path)
    verbs = reverse("rollout_verbs", args=[run.rollout_id])
    assert "sheet-rollback" not in browser(cast["tom"]).get(verbs).content.decode()
    views_world.ran(run, 5, running=True)
    after = browser(cast["tom"]).get(verbs).content.decode()
    assert "sheet-rollback" in after and "sheet-abort" in after


def test_a_watched_rollout_shows_gates_limits_and_why_it_looks_when_it_looks(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    said = page(approved, cast["olaf"])
    assert "1.1.0 is live on production and being watched." in said
    assert "120.5" in said and "first 10 s: every 5 s" in said
    assert "1.1.0 goes back to 1.0.0" in said  # before anybody clicks


def test_an_older_success_can_no_longer_be_rolled_back_under_a_newer_release(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    factories.put_in(approved, "SUCCEEDED")
    verbs = reverse("rollout_verbs", args=[approved.pk])
    assert "sheet-rollback" in browser(cast["olaf"]).get(verbs).content.decode()
    Target.objects.filter(pk=target.pk).update(live_version="1.2.0")
    assert "sheet-rollback" not in browser(cast["olaf"]).get(verbs).content.decode()


@pytest.mark.parametrize(
    "state", ["REJECTED", "EXPIRED", "SUPERSEDED", "CANCELLED", "FAILED", "UNKNOWN", "NOT_RESTORED"]
)
def test_every_ending_has_a_page(target: Target, cast: Cast, state: str) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.put_in(waiting, state, state_why="for a reason")
    assert "for a reason" in page(waiting, cast["tom"])


def test_the_page_asks_the_same_number_of_queries_however_much_happened(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    approved = factories.make_approved(target, cast)
    client = browser(cast["olaf"])
    views_world.watched(approved, cast["olaf"], tmp_path, looks=2)
    counts = []
    for round_ in range(2):
        with CaptureQueriesContext(connection) as seen:
            client.get(approved.get_absolute_url())
        counts.append(len(seen))
        run = approved.runs.get(kind="deploy")
        for number in range(20, 40):
            run.steps.create(number=100 * round_ + number, kind="check", title="more", state="SUCCEEDED", attempt=1)
        views_world.tell_often(approved)
    assert counts[0] == counts[1] <= 60


def test_somebody_without_a_role_is_told_who_could(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["otto"]).get(waiting.get_absolute_url())
    assert answer.status_code == 403
    assert "auditor" in answer.content.decode()


def test_the_list_filters_by_what_stands_in_the_url(target: Target, cast: Cast) -> None:
    factories.make_waiting(target, cast["rita"])
    client = browser(cast["aud"])
    assert len(client.get(reverse("rollout_list"), {"state": "WAITING"}).context["page_obj"]) == 1
    assert len(client.get(reverse("rollout_list"), {"state": "FAILED"}).context["page_obj"]) == 0
    assert len(client.get(reverse("rollout_list"), {"environment": "staging"}).context["page_obj"]) == 0


def test_an_owner_makes_a_draft(target: Target, cast: Cast) -> None:
    release = factories.make_release(target.component, cast["rita"])
    values = {"release": release.pk, "target": target.pk, "reason": "customers wait for it"}
    answer = browser(cast["rita"]).post(reverse("rollout_new"), values)
    made = Rollout.objects.get()
    assert answer.url == made.get_absolute_url() and made.state == "DRAFT" and made.requester == cast["rita"]


def test_a_refused_draft_keeps_what_was_typed(target: Target, cast: Cast) -> None:
    Target.objects.filter(pk=target.pk).update(live_version="1.1.0")
    release = factories.make_release(target.component, cast["rita"])
    values = {"release": release.pk, "target": target.pk, "reason": "customers wait for it"}
    answer = browser(cast["rita"]).post(reverse("rollout_new"), values)
    assert answer.status_code == 422
    assert "runs 1.1.0 already" in answer.content.decode() and "customers wait for it" in answer.content.decode()
