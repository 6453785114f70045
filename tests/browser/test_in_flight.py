"""What a page asks while its person proves who he is: it still carries the cookie of the session from before."""

from collections.abc import Callable

import pytest

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]


def test_a_page_asks_nothing_for_a_while_once_its_form_is_sent(enter: Enter, ids: dict[str, int]) -> None:
    abe, asked = enter("abe", fresh=True), []
    abe.page.clock.install()
    page = abe.go(f"/rollouts/{ids['read']}/")
    page.on("request", lambda request: asked.append(request.url.rpartition("/rollouts/")[2]))
    page.route("**/decide/", lambda route: route.fulfill(status=204))  # the page stays, as while an answer is awaited
    page.locator("#decide textarea").fill("Read on a train.")
    with page.expect_response("**/decide/"):
        page.get_by_role("button", name="Approve").click()
    asked.clear()
    page.clock.run_for(25_000)
    assert asked == []
    with page.expect_request("**/live/*"):
        page.clock.run_for(20_000)
