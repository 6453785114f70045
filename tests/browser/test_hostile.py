"""Texts of strangers stand on the pages as texts: nothing of them runs, loads or breaks out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.nasty import NASTY, SCRIPT
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
PATHS = (
    "/",
    "/inbox/",
    "/components/",
    "/components/dhash/",
    "/releases/{release}/",
    "/rollouts/",
    "/rollouts/{nasty}/",
    "/incidents/",
    "/incidents/1/",
    "/runbooks/",
    "/runbooks/dhash/rollback/?rollout={nasty}",
    "/history/",
    "/history/?q=%3Cscript%3Ewindow.ran%3D1%3C/script%3E",
    "/history/?q=rollout+{nasty}",
    "/population/",
    "/unread-decisions/",
    "/controls/",
    "/rollouts/{nasty}/manifests/",
)
FOREIGN = """() => [...document.querySelectorAll('script:not([src^="/static/"]), iframe, object, embed, base')]
  .concat([...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a =>
    /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value)) || e.matches('img[src=x]')))
  .map(e => e.outerHTML.slice(0, 120))"""


def harm(here: Visitor) -> tuple[list[str], object]:
    """Return foreign nodes of the page, and what a script of a stranger would have left."""
    return here.page.evaluate(FOREIGN), here.page.evaluate("window.ran ?? null")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_of_it_runs(enter: Enter, ids: dict[str, int], path: str) -> None:
    here = enter("tom")
    here.go(path.format(**ids, release=ids["nasty_release"]))
    here.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert harm(here) == ([], None)


# pages that are not of our templates, and refusals: the same policy, and nothing of theirs is stopped by it
STRANGE = (
    ("/admin/", 200),
    ("/admin/rollout/freeze/add/", 200),
    ("/admin/auth/user/", 200),
    ("/api/v1/docs", 200),
    ("/nowhere/", 404),
    ("/rollouts/new/", 403),
)


@pytest.mark.parametrize(("path", "status"), STRANGE)
def test_the_policy_holds_on_pages_of_others_and_stops_nothing_of_theirs(enter: Enter, path: str, status: int) -> None:
    here = enter("ada", expected=(status, 404))  # the admin site has no icon, and browsers ask for one
    here.go(path)
    here.page.wait_for_load_state("networkidle")
    assert here.page.evaluate("window.ran ?? null") is None


def test_it_is_there_to_be_read(enter: Enter, ids: dict[str, int]) -> None:
    here = enter("tom")
    here.go(f"/rollouts/{ids['nasty']}/")
    text = here.page.locator("main").inner_text()
    assert all(one in text for one in NASTY[:5])


def test_control_characters_are_made_visible_in_the_difference(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("tom").go(f"/rollouts/{ids['nasty']}/")
    assert "\u202e" not in (page.locator("#changes").text_content() or "")


def test_reason_typed_by_a_decider_stands_as_text(enter: Enter, ids: dict[str, int]) -> None:
    here = enter("ann", fresh=True)
    page = here.go(f"/rollouts/{ids['nasty']}/")
    page.locator("#decide textarea").fill(" ".join(NASTY[:4]))
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("Recorded under your name").wait_for()
    assert SCRIPT in page.locator("main").inner_text()
    assert harm(here) == ([], None)


def test_file_name_is_refused_as_text(enter: Enter, ids: dict[str, int], tmp_path: Path) -> None:
    here = enter("rita")
    page = here.go(f"/releases/{ids['draft_release']}/")
    evidence = page.locator("#evidence-release_archive")
    evidence.locator("summary").click()
    file = {"name": "\"'><img src=x onerror=window.ran=9>.zip", "mimeType": "application/zip", "buffer": b"zip"}
    evidence.locator("input[name=file]").set_input_files(file)
    here.expect_status(409)
    evidence.get_by_role("button", name="Upload").click()
    page.get_by_text("Not kept.").wait_for()
    assert harm(here) == ([], None)


def test_link_that_is_a_program_is_refused(enter: Enter, ids: dict[str, int]) -> None:
    here = enter("rita", fresh=True)
    answer = here.post(
        f"/releases/{ids['draft_release']}/links/", kind="ci_ubuntu", url="javascript:alert(1)//https://x"
    )
    assert answer.status in (400, 409)
    here.go(f"/releases/{ids['draft_release']}/")
    assert harm(here) == ([], None)
