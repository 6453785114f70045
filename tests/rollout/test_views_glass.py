"""The pages of a break-glass: the form that does it, the banner until it is reviewed, the review."""

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from rollout.models import BreakGlass, GlassReview, Rollout, Target
from rollout.states import RolloutState as R
from rollout.views import needs
from tests import factories
from tests.base import PASSWORD
from tests.factories import fresh
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
REASONS = {"why_now": "uploads fail for every customer", "why_safe": "the fix ran on staging for an hour"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    return factories.make_waiting(target, cast["rita"])


@pytest.fixture
def glass(waiting: Rollout, cast: Cast) -> BreakGlass:
    return factories.break_glass(waiting, cast["olaf"])


def url(rollout: Rollout) -> str:
    return reverse("rollout_glass", args=[rollout.pk])


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_form_says_what_is_passed_over_and_what_follows(waiting: Rollout, cast: Cast) -> None:
    page = said(browser(cast["olaf"]).get(url(waiting)))
    assert "missing: ops, approver, deploy-operator" in page
    assert "Abe, Ann could." in page
    assert "no normal rollout of dhash starts" in page


def test_the_form_breaks_the_glass(waiting: Rollout, cast: Cast) -> None:
    answer = browser(cast["olaf"]).post(url(waiting), {**REASONS, "digest": waiting.digest})
    assert (answer.status_code, fresh(waiting).state) == (302, R.QUEUED)


def test_nothing_happens_without_both_reasons_and_the_digest(waiting: Rollout, cast: Cast) -> None:
    olaf = browser(cast["olaf"])
    for left_out in ("why_now", "why_safe", "digest"):
        data = {**REASONS, "digest": waiting.digest, left_out: ""}
        assert olaf.post(url(waiting), data).status_code == 422
    assert fresh(waiting).state == R.WAITING


@pytest.mark.parametrize(("password", "state"), [("guess", R.WAITING), (PASSWORD, R.QUEUED)])
def test_an_old_proof_asks_for_the_password(waiting: Rollout, cast: Cast, password: str, state: str) -> None:
    data = {**REASONS, "digest": waiting.digest, "password": password}
    browser(cast["olaf"], stale=True).post(url(waiting), data)
    assert fresh(waiting).state == state


def test_another_digest_is_refused_with_what_was_typed(waiting: Rollout, cast: Cast) -> None:
    answer = browser(cast["olaf"]).post(url(waiting), {**REASONS, "digest": "0" * 64})
    assert answer.status_code == 409
    assert REASONS["why_safe"] in said(answer)


def test_the_form_is_for_operators_and_ops(waiting: Rollout, cast: Cast) -> None:
    answers = {name: browser(cast[name]).get(url(waiting)).status_code for name in ("rita", "ann", "abe", "olaf")}
    assert answers == {"rita": 403, "ann": 403, "abe": 200, "olaf": 200}


def test_to_an_operator_of_another_component_it_is_not_there(waiting: Rollout, cast: Cast) -> None:
    type(cast["olaf"].person).objects.filter(user=cast["olaf"]).update(components=["other"])
    client = browser(cast["olaf"])
    answers = client.get(url(waiting)), client.post(url(waiting), {**REASONS, "digest": waiting.digest})
    assert [one.status_code for one in answers] == [404, 404]


def test_what_has_all_signatures_is_not_offered(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    assert "start it in the normal way" in said(browser(cast["olaf"]).get(url(approved)))


def test_the_button_stands_among_more_for_who_may(waiting: Rollout, cast: Cast) -> None:
    pages = {name: browser(cast[name]).get(waiting.get_absolute_url()) for name in ("olaf", "ann")}
    assert {name: url(waiting) in page.content.decode() for name, page in pages.items()} == {"olaf": True, "ann": False}


def test_the_record_names_the_account_beside_the_printed_name(glass: BreakGlass, cast: Cast) -> None:
    page = browser(cast["aud"]).get(glass.rollout.get_absolute_url()).content.decode()
    assert '<bdi>Olaf</bdi> <span class="muted">olaf (' in page


def test_until_it_is_reviewed_every_page_of_the_component_says_so(
    glass: BreakGlass, target: Target, cast: Cast
) -> None:
    staging = target.component.targets.get(environment__name="staging")
    other = factories.make_draft(staging, cast["rita"], "1.2.0")
    places = ("/", "/components/dhash/", f"/releases/{other.release_id}/", f"/rollouts/{other.pk}/")
    client = browser(cast["aud"])
    assert all("The glass was broken for dhash: Olaf started" in said(client.get(place)) for place in places)
    factories.review_glass(glass, cast["ann"])
    factories.review_glass(glass, cast["abe"])
    assert not any("The glass was broken" in said(client.get(place)) for place in places)


def test_the_page_keeps_the_record_for_ever(glass: BreakGlass, cast: Cast) -> None:
    factories.review_glass(glass, cast["ann"], "OBJECT")
    factories.review_glass(glass, cast["abe"])
    page = said(browser(cast["aud"]).get(glass.rollout.get_absolute_url()))
    for words in (glass.why_now, glass.why_safe, "Objected to", "read the log and the dashboards"):
        assert words in page


def test_a_start_that_is_held_links_to_the_review(glass: BreakGlass, target: Target, cast: Cast) -> None:
    staging = target.component.targets.get(environment__name="staging")
    approved = factories.make_approved(staging, cast, "1.2.0")
    answer = browser(cast["olaf"]).post(reverse("rollout_start", args=[approved.pk]))
    assert answer.status_code == 409
    assert f'href="/rollouts/{glass.rollout_id}/#glass"' in answer.content.decode()


def review(glass: BreakGlass, user: User, **data: str):
    values = {"verdict": "AGREE", "words": "read the log of that hour", **data}
    return browser(user).post(reverse("rollout_glass_review", args=[glass.rollout_id, glass.pk]), values)


def test_the_review_is_recorded(glass: BreakGlass, cast: Cast) -> None:
    assert review(glass, cast["ann"]).status_code == 302
    assert GlassReview.objects.get().printed_name == "Ann"


def test_a_review_without_verdict_or_words_is_asked_again(glass: BreakGlass, cast: Cast) -> None:
    for data in ({"verdict": ""}, {"verdict": "MAYBE"}, {"words": "ok"}):
        answer = review(glass, cast["ann"], **data)
        assert answer.status_code == 422 and "Nothing was done" in said(answer)
    assert not GlassReview.objects.exists()


def test_the_one_who_broke_it_reads_why_he_cannot_review(glass: BreakGlass, cast: Cast) -> None:
    assert "You cannot review it: Olaf broke the glass" in said(
        browser(cast["olaf"]).get(glass.rollout.get_absolute_url())
    )
    assert review(glass, cast["olaf"]).status_code == 409


def test_a_review_names_a_glass_of_that_rollout(glass: BreakGlass, cast: Cast) -> None:
    address = reverse("rollout_glass_review", args=[glass.rollout_id + 1, glass.pk])
    assert browser(cast["ann"]).post(address, {}).status_code == 404


def inbox(user: User) -> list[str]:
    groups = frozenset(user.groups.values_list("name", flat=True))
    return [one.url for one in needs.of(user, groups, now=timezone.now()) if one.state == "REVIEW_DUE"]


def test_the_review_waits_in_the_inbox_of_those_who_may(glass: BreakGlass, cast: Cast) -> None:
    asked = {name for name, user in cast.items() if inbox(user)}
    assert asked == {"ann", "abe"}
    assert inbox(cast["ann"]) == [f"/rollouts/{glass.rollout_id}/#glass"]


def test_it_leaves_the_inbox_with_the_review(glass: BreakGlass, cast: Cast) -> None:
    factories.review_glass(glass, cast["ann"])
    assert (inbox(cast["ann"]), len(inbox(cast["abe"]))) == ([], 1)


def test_reasons_that_nobody_sees_are_none(waiting: Rollout, cast: Cast) -> None:
    unseen = {"why_now": "\u200b" * 30, "why_safe": "\u2060" * 30}
    answer = browser(cast["olaf"]).post(url(waiting), {**unseen, "digest": waiting.digest})
    assert answer.status_code == 422 and "at least 15 characters" in answer.content.decode()
    assert fresh(waiting).state == R.WAITING
