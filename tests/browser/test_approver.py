"""The approver's day, on a phone between meetings."""

from collections.abc import Callable

import pytest

from tests.base import PASSWORD
from tests.browser.product import Product
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]


def test_approver_goes_from_the_inbox_to_a_recorded_approval(
    enter: Enter, product: Product, ids: dict[str, int]
) -> None:
    ann = enter("ann", phone=True, fresh=True)
    page = ann.go("/inbox/")
    page.locator(f'a.btn[href="/rollouts/{ids["approve"]}/"]').click()
    page.get_by_text("Every commit").click()
    assert "Store the average colour" in ann.text()
    assert page.locator("#checklist .proof", has_text="KiB").count() or page.locator("#checklist code").count()
    digest = page.locator("input[name=digest]").get_attribute("value")
    assert digest and digest[:12] in page.locator("#decide").inner_text()
    product.stage("age")
    page.reload()
    page.get_by_text("Every commit").click()
    page.locator("#decide textarea").fill("Read every commit on the train.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Approve").click()
    assert "Recorded under your name" in ann.text()
    seats = page.locator(".seats").inner_text()
    assert "Ann" in seats and "opened the difference" in seats and "Read every commit on the train." in seats
