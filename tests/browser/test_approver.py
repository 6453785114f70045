"""The approver's day, on a phone between meetings."""

from collections.abc import Callable
from pathlib import Path

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
    page.locator(f'a.btn[href="/rollouts/{ids["approve"]}/sign/"]').click()
    digest = page.locator("input[name=digest]").get_attribute("value")
    assert digest
    assert digest[:12] in page.locator("#decide").inner_text()
    product.stage("age")
    page.reload()
    page.get_by_text("The whole difference: every").click()
    page.get_by_text("Store the average colour").wait_for()
    page.locator("#decide textarea").fill("Read every commit on the train.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Recorded under your name").wait_for()
    seats = page.locator(".seats").inner_text()
    assert "Ann" in seats
    assert "· opened the difference" in seats
    assert "Read every commit on the train." in seats


def test_checklist_names_each_file_with_its_sha256(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("ann", phone=True).go(f"/rollouts/{ids['read']}/")
    line = page.locator("#checklist li", has_text="Release archive")
    assert line.get_by_role("img", name="Present").count() or "Present" in line.inner_text()
    assert line.locator("[data-copy]").get_attribute("data-copy", timeout=2000) is not None


def test_wrong_password_records_nothing_and_keeps_the_words(
    enter: Enter, product: Product, ids: dict[str, int]
) -> None:
    abe = enter("abe", phone=True, fresh=True)
    product.stage("age")
    page = abe.go(f"/rollouts/{ids['read']}/")
    page.locator("#decide textarea").fill("Typed on a train, slowly.")
    page.get_by_label("Your password").fill("not my password")
    abe.expect_status(422)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("This is not your password").wait_for()
    assert page.locator("#decide textarea").input_value() == "Typed on a train, slowly."
    assert "Abe" not in page.locator(".seats").inner_text()


def test_rejection_needs_a_reason_and_the_requester_is_told_it(enter: Enter, ids: dict[str, int]) -> None:
    abe, path = enter("abe", phone=True, fresh=True), f"/rollouts/{ids['reject']}/"
    page = abe.go(path)
    abe.expect_status(422)
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("A rejection needs a reason").wait_for()
    page.locator("#decide textarea").fill("The second commit has no test.")
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("Recorded under your name").wait_for()
    rita = enter("rita", phone=True)
    page = rita.go(path)
    assert page.locator("#decide").count() == 0
    assert "The second commit has no test." in rita.text()


def test_requester_finds_no_decision_form_but_why(enter: Enter, ids: dict[str, int]) -> None:
    rita = enter("rita", phone=True)
    page = rita.go(f"/rollouts/{ids['read']}/")
    assert page.locator("#decide").count() == 0
    assert page.get_by_role("button", name="Approve").count() == 0
    assert "You cannot decide here" in page.locator("#sign-off").inner_text()


def test_approval_of_what_changed_meanwhile_is_not_recorded(enter: Enter, ids: dict[str, int], tmp_path: Path) -> None:
    ann, path = enter("ann", phone=True, fresh=True), f"/rollouts/{ids['stale']}/"
    seen = ann.go(path)
    rita = enter("rita")
    other = rita.go(path)
    other.get_by_role("link", name="The release").click()
    evidence = other.locator("#evidence-release_archive")
    evidence.locator("summary").click()
    (tmp_path / "dhash-changed.zip").write_bytes(b"other bytes")
    evidence.locator("input[name=file]").set_input_files(tmp_path / "dhash-changed.zip")
    evidence.get_by_role("button", name="Upload").click()
    other.get_by_text("is kept").wait_for()
    ann.expect_status(409)
    seen.locator("#decide textarea").fill("I saw the first archive.")
    seen.get_by_role("button", name="Approve").click()
    seen.wait_for_load_state()
    seen.get_by_role("heading", name="This was not done").wait_for()
    assert "I saw the first archive." in ann.text()
    seen.get_by_role("link", name="Look again").click()
    assert "Ann approved" not in ann.text()
    assert "release_archive" in ann.text() or "Release archive" in ann.text()
    history = enter("aud")
    history.go("/history/?action=sign_off.")
    assert "I saw the first archive." not in history.text()


def test_void_sign_off_leaves_no_decision_form(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("abe", phone=True).go(f"/rollouts/{ids['stale']}/")
    assert page.locator("#decide").count() == 0
