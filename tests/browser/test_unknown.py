"""A step whose end nobody saw, at 3 a.m.: what is known, what the target answers, and what two people decide."""

from collections.abc import Callable

import pytest

from tests.base import PASSWORD
from tests.browser.product import Product
from tests.browser.visitor import PHONE, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
CHOICES = ("done", "not_done", "try_again")


@pytest.mark.parametrize(
    ("answer", "asked_by"),
    [("", ""), ("done", "olaf"), ("not_done", "tom"), ("unknown", ""), ("held", "")],
)
def test_axe_finds_nothing_whatever_the_target_answers(
    enter: Enter, product: Product, ids: dict[str, int], answer: str, asked_by: str
) -> None:
    product.stage("answer", str(ids["lost"]), answer)
    product.stage("again", str(ids["lost"]), asked_by)
    here = enter("olaf", color_scheme="light", bypass_csp=True)
    page = here.go(f"/rollouts/{ids['lost']}/")
    found = [f"light: {one}" for one in here.axe()]
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    found += [f"dark, on a phone: {one}" for one in here.axe()]
    assert found + here.overflow() == []


@pytest.mark.parametrize("verb", [*CHOICES, "settle"])
def test_axe_finds_nothing_on_the_sheets(enter: Enter, product: Product, ids: dict[str, int], verb: str) -> None:
    product.stage("answer", str(ids["lost"]), "unknown")
    product.stage("again", str(ids["lost"]), "")
    here = enter("olaf", phone=True, color_scheme="dark", bypass_csp=True)
    page = here.go(f"/rollouts/{ids['lost']}/")
    page.locator(f'#decisions button[popovertarget="sheet-{verb}"]').click()
    page.locator(f"#sheet-{verb} textarea").wait_for()
    # by rules: axe sees no top layer, and takes the bar behind the sheet for a target beside the sheet's buttons
    assert here.axe("color-contrast", "label", "button-name", "aria-valid-attr-value") == []


def test_nothing_can_be_decided_while_a_command_holds_the_target(
    enter: Enter, product: Product, ids: dict[str, int]
) -> None:
    product.stage("again", str(ids["lost"]), "")
    product.stage("answer", str(ids["lost"]), "held")
    page = enter("olaf").go(f"/rollouts/{ids['lost']}/")
    for verb in CHOICES:
        button = page.locator(f'#decisions button[popovertarget="sheet-{verb}"]')
        assert button.is_disabled()
        assert "still holds" in page.locator(f"#{button.get_attribute('aria-describedby')}").inner_text()


def test_the_answer_of_the_target_comes_onto_an_open_page(enter: Enter, product: Product, ids: dict[str, int]) -> None:
    product.stage("answer", str(ids["lost"]), "")
    product.stage("again", str(ids["lost"]), "")
    page = enter("olaf").go(f"/rollouts/{ids['lost']}/")
    page.get_by_text("The target has not answered yet.").wait_for()
    loaded = page.evaluate("performance.timeOrigin")
    page.locator('#decisions button[popovertarget="sheet-done"]').click()
    page.locator("#sheet-done textarea").fill("Typed slowly, while the page")
    product.stage("answer", str(ids["lost"]), "done")
    page.get_by_text("The target looks as if it was done.").wait_for()
    assert page.locator("#sheet-done textarea").input_value() == "Typed slowly, while the page"
    assert page.evaluate("performance.timeOrigin") == loaded


def test_asking_the_target_again_leads_back_to_the_page(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("olaf").go(f"/rollouts/{ids['lost']}/")
    page.get_by_role("button", name="Ask the target again").click()
    page.get_by_text("The target is being asked").wait_for()


def test_roll_back_is_the_only_loud_button(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("olaf").go(f"/rollouts/{ids['lost']}/")
    buttons = page.locator("#decisions button")
    assert {button.get_attribute("class") for button in buttons.all()} <= {"quiet", "quiet small"}
    assert page.locator("#verbs button.danger").inner_text() == "Roll back…"


def test_two_people_try_it_again(enter: Enter, product: Product, ids: dict[str, int]) -> None:
    olaf = enter("olaf", fresh=True)
    product.stage("age")
    page = olaf.go(f"/rollouts/{ids['again']}/")
    page.locator('#decisions button[popovertarget="sheet-try_again"]').click()
    sheet = page.locator("#sheet-try_again")
    sheet.locator("textarea").fill("Its log has no line: it never began.")
    sheet.get_by_label("Your password").fill(PASSWORD)
    sheet.get_by_role("button", name="Ask for a second person").click()
    page.get_by_text("Nothing runs before another person confirms it.").wait_for()
    page.get_by_text("You cannot confirm it yourself").wait_for()
    assert page.locator('#decisions button[popovertarget="sheet-try_again"]').is_disabled()
    tom = enter("tom", phone=True, fresh=True)
    page = tom.go("/inbox/")
    page.locator(f'a.btn[href="/rollouts/{ids["again"]}/"]').click()
    assert "Olaf asked to try it again" in tom.text()
    page.get_by_role("button", name="Confirm: try again…").click()
    page.locator("#sheet-try_again textarea").fill("I read the log too.")
    page.get_by_role("button", name="Confirm and start it").click()
    page.get_by_text("Confirmed under your name").wait_for()
    assert page.locator("#live .hero .badge").first.inner_text() == "Running"
    assert "Confirmed by a second person" in tom.text()
