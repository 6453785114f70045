"""Two people and one click: the second is told who was faster; a form sent again, or without a key, does nothing."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
Unlock = Callable[[Locator], None]
WHY = "the disk is being replaced"


def lock_form(one: Visitor) -> Locator:
    """Open the form that locks the first target of the component that is free."""
    page = one.go("/components/dhash/")
    form = page.locator("form[action$='/lock/']").first
    form.locator("xpath=ancestor::details").locator("summary").first.click()
    return form


def shown(one: Visitor, name: str) -> None:
    """Keep a picture where somebody asks for it."""
    folder = os.environ.get("GR_PICTURES")
    if folder:
        one.page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.fixture
def unlock(enter: Enter) -> Iterator[Unlock]:
    """Return a function that takes note of a form; at the end its target is unlocked."""
    paths: list[str] = []
    yield lambda form: paths.append(str(form.get_attribute("action")))
    tom = enter("tom", fresh=True)  # to unlock takes a proof that is fresh
    tom.go("/components/dhash/")
    for path in paths:
        assert tom.post(path.replace("/lock/", "/unlock/"), why="it is replaced").status == 302


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_second_of_two_is_told_who_was_faster(enter: Enter, unlock: Unlock, phone: bool, scheme: str) -> None:
    tom, abe = enter("tom"), enter("abe", phone=phone, expected=(409,), color_scheme=scheme, bypass_csp=True)
    first, second = lock_form(tom), lock_form(abe)
    unlock(first)
    first.get_by_role("textbox").fill(WHY)
    second.get_by_role("textbox").fill("I saw smoke")
    first.get_by_role("button").click()
    tom.page.get_by_text("is locked: nothing starts there").wait_for()
    second.get_by_role("button").click()
    abe.page.get_by_role("heading", name="Tom was faster").wait_for()
    assert "I saw smoke" in abe.text() and "Nothing was changed by this click" in abe.text()
    assert abe.axe() == []
    shown(abe, f"409-{'phone' if phone else 'desk'}-{scheme}")


def test_a_form_sent_again_does_nothing_twice(enter: Enter, unlock: Unlock) -> None:
    tom = enter("tom")
    form = lock_form(tom)
    unlock(form)
    path, key = str(form.get_attribute("action")), form.locator("input[name=once]").input_value()
    answers = [tom.post(path, why=WHY, once=key) for _ in ("sent", "sent again")]
    assert [one.status for one in answers] == [302, 302]
    tom.go("/components/dhash/")
    assert "This was done already; nothing was done twice." in tom.text()


def test_a_double_click_sends_one_request(enter: Enter, unlock: Unlock) -> None:
    tom, sent = enter("tom"), []
    tom.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    form = lock_form(tom)
    unlock(form)
    form.get_by_role("textbox").fill(WHY)
    form.get_by_role("button").dblclick(no_wait_after=True)
    tom.page.get_by_text("is locked: nothing starts there").wait_for()
    assert len(sent) == 1


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_form_that_lost_its_key_is_refused_and_leads_back(enter: Enter, phone: bool, scheme: str) -> None:
    tom = enter("tom", phone=phone, expected=(400,), color_scheme=scheme, bypass_csp=True)
    form = lock_form(tom)
    form.locator("input[name=once]").evaluate("field => field.remove()")
    form.get_by_role("textbox").fill(WHY)
    form.get_by_role("button").click()
    tom.page.get_by_role("heading", name="This was not done").wait_for()
    assert WHY in tom.text() and "Nothing was changed by this click" in tom.text()
    assert tom.axe() == []
    shown(tom, f"400-{'phone' if phone else 'desk'}-{scheme}")
    tom.page.get_by_role("link", name="Open the page again").click()
    tom.page.wait_for_url("**/components/dhash/")
