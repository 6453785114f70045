"""What an approver, an operator at night and an auditor read: no tick where nothing counts, no time without zone."""

import re

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.urls import reverse

from approvals.roles import Difference
from monitoring.chain_watch import Held
from rollout.models import Rollout, Target
from tests import factories
from tests.factories import decide
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    return factories.make_waiting(target, cast["rita"])


def page(user: User, url: str) -> str:
    return browser(user).get(url).content.decode()


def said(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_an_approval_that_no_longer_counts_has_no_tick(waiting: Rollout, cast: Cast) -> None:
    decide(waiting, cast["ann"], "approver")
    cast["ann"].groups.clear()
    seats = page(cast["abe"], reverse("rollout_sign", args=[waiting.pk])).split('class="seats"')[1].split("</ul>")[0]
    assert "tone-ok" not in seats and "Does not count" in said(seats)


def test_the_break_glass_sheet_says_what_starts(waiting: Rollout, cast: Cast) -> None:
    found = said(page(cast["olaf"], reverse("rollout_glass", args=[waiting.pk])))
    assert "was 1.0.0 now 1.1.0" in found
    assert "Migrations None." in found and "If it goes wrong A rollback goes back to 1.0.0" in found


def test_who_can_only_take_back_is_asked_why_he_does(waiting: Rollout, cast: Cast) -> None:
    decide(waiting, cast["ann"], "approver")
    labels = {name: said(page(cast[name], reverse("rollout_sign", args=[waiting.pk]))) for name in ("ann", "abe")}
    assert "Why you take it back" in labels["ann"] and "reason for a rejection" not in labels["ann"]
    assert "reason for a rejection" in labels["abe"]


def test_a_sign_off_that_is_open_looks_alike_everywhere(waiting: Rollout, cast: Cast) -> None:
    found = page(cast["aud"], reverse("rollout_manifests", args=[waiting.pk]))
    assert re.search(r'badge tone-wait">.{0,400}Open', found, re.DOTALL)


def test_nothing_of_nothing_is_neither_good_nor_bad(target: Target, cast: Cast) -> None:
    found = page(cast["aud"], reverse("controls"))
    line = next(one for one in re.findall(r"<li>.*?</li>", found, re.DOTALL) if "with a verified backup" in one)
    assert "0 of 0" in line and "tone-neutral" in line


def test_the_population_says_in_which_zone_its_times_are(waiting: Rollout, cast: Cast) -> None:
    found = page(cast["aud"], f"{reverse('population')}?since=2026-11-01&until=2026-11-30&basis=requested")
    assert ">2026-11-23 12:00 UTC</time>" in found


def test_who_decided_unread_is_named_alike_in_both_tables(waiting: Rollout, cast: Cast) -> None:
    decide(waiting, cast["ann"], "approver", diff_opened=False)
    found = said(page(cast["aud"], reverse("unread_decisions")))
    assert "Ann ann 1 1" in found and "Ann ann as approver" in found


def test_a_chain_that_is_not_checked_yet_is_not_called_verified() -> None:
    held = Held(newest=7)
    assert "Not verified yet. This process began a moment ago and checks 7 entries" in said(
        render_to_string("rollout/_verified.html", {"held": held})
    )


def test_a_role_that_stays_is_not_struck_out() -> None:
    row = Difference(label="roles", before="approver", after="approver, ops", note="+ ops")
    html = render_to_string("_diffs.html", {"rows": [row]})
    assert "<del" not in html and "approver, ops (+ ops)" in said(html)


def test_confirming_speaks_of_no_decision_where_none_is_made(cast: Cast) -> None:
    found = said(page(cast["ann"], f"{reverse('confirm')}?next={reverse('passkey_add')}"))
    assert "What you do next is recorded" in found and "decision" not in found


def test_going_back_from_a_page_that_asks_does_not_ask_again(cast: Cast) -> None:
    found = page(cast["ann"], f"{reverse('confirm')}?next={reverse('passkey_add')}")
    assert f'href="{reverse("security")}">Go back' in found


def test_notices_that_only_wait_are_not_called_delivered(waiting: Rollout, cast: Cast) -> None:
    found = page(cast["aud"], reverse("controls"))
    line = next(one for one in re.findall(r"<li>.*?</li>", found, re.DOTALL) if "notices delivered" in one)
    assert re.search(r"0 of [1-9]", line) and "tone-neutral" in line


@pytest.mark.parametrize("needed", [True, False])
def test_where_a_second_factor_is_asked_for_its_buttons_stand_out(
    cast: Cast, settings: LazySettings, needed: bool
) -> None:
    settings.GR_REQUIRE_SECOND_FACTOR = needed
    found = page(cast["ann"], reverse("security"))
    link = re.search(rf'class="([^"]*)" href="{reverse("passkey_add")}"', found)
    assert link is not None and ("quiet" not in link[1]) == needed
    assert ("Set up a second factor first." in found) == needed
