"""Everybody can use it: axe, a phone, the dark, a keyboard, no script."""

import re
from collections.abc import Callable

import pytest

from tests.browser.product import Product
from tests.browser.visitor import PHONE, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
# who looks at what; {name} is the number of a rollout of the desk
PAGES = (
    ("ann", "/"),
    ("ann", "/inbox/"),
    ("tom", "/components/"),
    ("tom", "/components/dhash/"),
    ("ada", "/components/dhash/"),
    ("rita", "/components/dhash/releases/new/"),
    ("rita", "/releases/1/"),
    ("rita", "/rollouts/new/"),
    ("aud", "/rollouts/"),
    ("ann", "/rollouts/{read}/"),
    ("rita", "/rollouts/{draft}/"),
    ("ann", "/rollouts/{nasty}/"),
    ("tom", "/incidents/"),
    ("tom", "/incidents/1/"),
    ("tom", "/runbooks/"),
    ("tom", "/runbooks/dhash/rollback/?rollout={keys}"),
    ("aud", "/history/"),
    ("aud", "/notices/"),
    ("ada", "/people/"),
    ("ada", "/people/1/"),
    ("ann", "/confirm/?next=/"),
)
REFUSED = (("aud", "/rollouts/new/", 403), ("aud", "/nowhere/", 404))


@pytest.mark.parametrize(("name", "path"), PAGES)
def test_axe_finds_nothing_and_a_phone_shows_all_of_it(enter: Enter, ids: dict[str, int], name: str, path: str) -> None:
    here = enter(name, color_scheme="light", bypass_csp=True)
    page = here.go(path.format(**ids))
    # what depends on colours and width is asked twice, all of it on the more difficult side
    found = [f"light: {one}" for one in here.axe("color-contrast", "link-in-text-block", "target-size")]
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    found += [f"dark, on a phone, unfolded: {one}" for one in here.axe()]
    assert found + here.overflow() == []


@pytest.mark.parametrize(("name", "path", "status"), REFUSED)
def test_axe_finds_nothing_on_a_refusal(enter: Enter, name: str, path: str, status: int) -> None:
    here = enter(name, bypass_csp=True)
    here.expect_status(status)
    here.go(path)
    assert here.axe() == []


def test_axe_finds_nothing_on_the_sign_in_page(enter: Enter) -> None:
    here = enter("ann", bypass_csp=True)
    here.context.clear_cookies()
    here.go("/login/")
    light = here.axe()
    here.page.emulate_media(color_scheme="dark")
    assert light + here.axe() == []


def test_axe_finds_nothing_on_open_dialogs_and_sheets(enter: Enter, ids: dict[str, int]) -> None:
    here = enter("rita", color_scheme="dark", bypass_csp=True)
    page = here.go(f"/rollouts/{ids['draft']}/")
    page.get_by_role("button", name="Cancel").click()
    sheet = here.axe()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    assert sheet + here.axe() == []


def test_decision_can_be_reached_and_made_with_the_keyboard_alone(enter: Enter, ids: dict[str, int]) -> None:
    here = enter("abe", fresh=True)
    page = here.go(f"/rollouts/{ids['keys']}/")
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#decide textarea')"):
            break
    page.keyboard.type("Reached without a mouse.")
    for _ in range(6):
        page.keyboard.press("Tab")
        if "Reject" in page.evaluate("document.activeElement.innerText"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.get_by_text("Recorded under your name").wait_for()
    assert outline != "none"


def test_question_mark_opens_the_help_and_escape_closes_it(enter: Enter) -> None:
    page = enter("ann").go("/")
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard")
    help_.wait_for()
    page.keyboard.press("Escape")
    help_.wait_for(state="hidden")


def test_g_and_a_letter_go_there(enter: Enter) -> None:
    page = enter("ann").go("/")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/history/")


def test_no_single_key_decides_anything(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("ann").go(f"/rollouts/{ids['read']}/")
    address, posts = page.url, []
    page.on("request", lambda request: posts.append(request.url) if request.method != "GET" else None)
    for key in "abcdefijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!.":  # without g, which goes to pages
        page.keyboard.press(key)
    for key in ("Enter", "Space", "Control+Enter"):
        page.keyboard.press(key)
    assert (page.url, posts) == (address, [])


def test_theme_switch_goes_round_and_is_kept(enter: Enter) -> None:
    page = enter("ann", color_scheme="light").go("/")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.locator("[data-theme-switch]").click()
    page.locator("[data-theme-switch]").click()
    dark = page.evaluate(ground)
    page.goto(page.url + "inbox/")
    assert page.locator("[data-theme-name]").inner_text() == "Theme: dark"
    assert page.evaluate(ground) == dark != light


def test_phone_menu_opens_and_leads_on(enter: Enter) -> None:
    page = enter("ann", phone=True).go("/")
    page.get_by_role("button", name="Menu").click()
    page.locator("#nav").get_by_role("link", name="History").click()
    page.wait_for_url("**/history/")


def test_decision_works_without_script(enter: Enter, ids: dict[str, int]) -> None:
    olaf = enter("olaf", phone=True, fresh=True, java_script_enabled=False)
    page = olaf.go(f"/rollouts/{ids['noscript']}/")
    page.locator("#decide textarea").fill("Signed without a script.")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Recorded under your name").wait_for()
    assert "did not open the difference" in page.locator(".seats").inner_text()


def test_every_page_has_one_main_heading_and_a_title_of_its_own(
    enter: Enter, ids: dict[str, int], product: Product
) -> None:
    here, titles = enter("ada"), {}
    for path in ("/", "/inbox/", "/components/", "/rollouts/", "/incidents/", "/runbooks/", "/history/", "/people/"):
        page = here.go(path)
        assert page.locator("h1").count() == 1, path
        titles[re.sub(r"\s+", " ", page.title())] = path
    assert len(titles) == 8
