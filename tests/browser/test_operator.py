"""The operator's day, at 3 a.m.: what happens now, is it well, and the one button that stops it."""

import re
from collections.abc import Callable

import pytest

from tests.base import PASSWORD
from tests.browser.live import Live
from tests.browser.visitor import DESK, PHONE, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
DEPLOY_MS, ROLLBACK_MS = 90_000, 90_000
SEEN = """button => { const box = button.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return box.height > 20 && box.top >= 0 && box.bottom <= innerHeight && button.contains(top) }"""


def test_operator_starts_watches_and_rolls_back_by_hand(enter_live: Enter, live: Live) -> None:
    olaf = enter_live("olaf")
    page = olaf.go(f"/rollouts/{live.rollout}/")
    live.product.stage("age")
    page.reload()
    page.get_by_role("button", name="Start…").click()
    page.locator("#sheet-start").get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Start the deploy").click()
    page.get_by_text("Started. This page follows it.").wait_for()
    loaded = page.evaluate("performance.timeOrigin")
    with live.traffic():
        moved = follow(olaf)
        assert page.evaluate("performance.timeOrigin") == loaded, "the page was loaded again"
        button_is_always_in_sight(olaf)
        axe_of_the_watch(enter_live, live)
        roll_back(olaf, live)
    assert len(moved) >= 3, moved


def follow(olaf: Visitor) -> list[str]:
    """Follow the deploy on the page that stands open until it is watched; return the different views of it."""
    page, views = olaf.page, []
    deadline = page.evaluate("Date.now()") + DEPLOY_MS
    while page.locator("#live .hero .badge", has_text="Watching").count() == 0:
        assert page.evaluate("Date.now()") < deadline, olaf.text()[:2000]
        steps = page.locator("#live .steps")
        now = re.sub(r"\d+(\.\d+)? ?(ms|s|sec)\b", "", steps.first.inner_text()) if steps.count() else ""
        if now and now not in views:
            views.append(now)
        page.wait_for_timeout(300)
    page.locator(".chart canvas").first.wait_for()
    page.wait_for_event("request", lambda one: "gate=" in one.url and one.headers.get("x-poll") == "1")
    page.wait_for_function("document.querySelectorAll('#watch tbody tr').length > 3")
    return views


def button_is_always_in_sight(olaf: Visitor) -> None:
    """Scroll through the page on a desk and a phone: the rollback button is in the window and not covered."""
    page = olaf.page
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        page.wait_for_timeout(400)  # the charts are drawn anew a moment after the window's change
        assert olaf.overflow() == []
        height = page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 500):
            page.evaluate(f"scrollTo(0, {top})")
            page.wait_for_timeout(30)
            button = page.get_by_role("button", name="Roll back…")
            assert button.evaluate(SEEN), f"hidden at {size} scrolled to {top} of {height}"


def axe_of_the_watch(enter_live: Enter, live: Live) -> None:
    """Look at the page that watches with axe, as somebody else."""
    tom = enter_live("tom", color_scheme="light", bypass_csp=True)
    page = tom.go(f"/rollouts/{live.rollout}/")
    page.locator(".chart canvas").first.wait_for()
    found = tom.axe()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    found += tom.axe()
    page.get_by_role("button", name="Roll back…").click()
    # by rules: axe sees no top layer, and takes the bar behind the sheet for a target beside the sheet's buttons
    found += tom.axe("color-contrast", "label", "button-name", "aria-valid-attr-value", "scrollable-region-focusable")
    assert found == []


def roll_back(olaf: Visitor, live: Live) -> None:
    """Roll back with reason and password in one form, and see what is true afterwards."""
    page = olaf.page
    live.product.stage("age")
    page.reload()
    page.get_by_role("button", name="Roll back…").click()
    sheet = page.locator("#sheet-rollback")
    assert "1.0.0" in sheet.locator("#undo strong").inner_text()
    assert "0002_average_colour" in sheet.locator("#undo").inner_html()
    sheet.locator("textarea").fill("The queue grows, and I trust my eyes.")
    sheet.get_by_label("Your password").fill(PASSWORD)
    sheet.get_by_role("button", name="Roll back now").click()
    page.get_by_text("Rolling back. This page follows it.").wait_for()
    page.locator("#live .hero .badge", has_text="Rolled back").wait_for(timeout=ROLLBACK_MS)
    page.locator("#live", has_text="is locked").wait_for()
    assert "The queue grows, and I trust my eyes." in olaf.text()
    page.reload()
    page.locator("main a[href^='/incidents/']").first.click()
    page.wait_for_url("**/incidents/*/")
    assert "proof" in page.locator("main").inner_text()
