"""The auditor's day, a year later: who, what, when, why, and proof; and nothing that he could do by mistake."""

import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from monitoring import verify
from tests.browser.product import Product
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]


def test_filters_stand_in_the_url_and_leave_what_they_name(enter: Enter) -> None:
    page = enter("aud").go("/history/")
    page.get_by_label("Action", exact=True).select_option("artifact.attached")
    page.get_by_label("Person").fill("rita")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**action=artifact.attached**")
    said = page.locator(".history-list .what").all_inner_texts()
    assert said
    assert set(said) == {"artifact.attached"}


def test_entry_opens_to_the_bytes_that_were_hashed(enter: Enter) -> None:
    page = enter("aud").go("/history/?action=target.locked")
    entry = page.locator(".history-list li").first
    entry.locator(".what").click()
    entry.locator("pre").wait_for()
    body = entry.locator("pre").locator("xpath=..").locator("[data-copy]").get_attribute("data-copy") or ""
    assert "\u202e" in body and "\u202e" not in (entry.locator("pre").text_content() or "")
    assert hashlib.sha256(body.encode()).hexdigest() in entry.inner_text()
    assert json.loads(body)["action"] == "target.locked"


def test_entry_has_a_page_of_its_own(enter: Enter) -> None:
    page = enter("aud").go("/history/?action=target.locked")
    entry = page.locator(".history-list li").first
    entry.locator(".what").click()
    entry.get_by_role("link", name="on a page of its own").click()
    page.wait_for_url("**/history/*/")
    assert "sealed to entry" in page.locator(".entry-detail").inner_text()


@pytest.mark.parametrize("path", ["/population/", "/unread-decisions/", "/controls/", "/rollouts/{read}/manifests/"])
def test_auditor_reads_his_pages(enter: Enter, ids: dict[str, int], path: str) -> None:
    enter("aud").go(path.format(**ids))


def test_population_is_taken_with_its_count_in_the_name(enter: Enter) -> None:
    page = enter("aud").go("/population/")
    count = page.locator("h2", has_text="requested").inner_text().split()[0]
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    assert taken.value.suggested_filename.endswith(f"-{count}-rollouts.csv")


@pytest.mark.parametrize("path", ["/population/", "/rollouts/{read}/"])
def test_bundle_verifies_where_nothing_of_ours_is(enter: Enter, ids: dict[str, int], tmp_path: Path, path: str) -> None:
    page = enter("aud").go(path.format(**ids))
    with page.expect_download() as taken:
        page.get_by_role("link", name="Bundle", exact=True).click()
    taken.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "out")
    command = [sys.executable, "-I", "verify.py"]
    done = subprocess.run(command, cwd=tmp_path / "out", env={}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "the chain holds" in done.stdout


def test_history_says_up_to_where_it_was_verified(enter: Enter) -> None:
    assert "Verified up to entry" in enter("aud").go("/history/").locator(".verified").inner_text()


def test_csv_holds_the_whole_chain_and_it_verifies(enter: Enter, product: Product, tmp_path: Path) -> None:
    page = enter("aud").go("/history/")
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    taken.value.save_as(tmp_path / "history.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "history.csv").read_text(encoding="utf-8-sig"), newline="")))
    assert len(rows) > 50
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    assert [row["prev"] for row in rows] == [verify.GENESIS, *(row["hash"] for row in rows[:-1])]
    # the CSV is for a spreadsheet; the bodies come with the export that the verifier reads, and have the same hashes
    product.run("manage.py", "audit", "export", "--output", str(tmp_path / "export.jsonl"))
    last = f"{rows[-1]['seq']}:{rows[-1]['hash']}"
    said = product.run("monitoring/verify.py", str(tmp_path / "export.jsonl"), "--head", last)
    assert "the chain holds" in said


def test_downloaded_artifact_has_the_sha256_that_the_checklist_shows(
    enter: Enter, ids: dict[str, int], tmp_path: Path
) -> None:
    page = enter("aud").go(f"/rollouts/{ids['read']}/")
    line = page.locator("#checklist li", has_text="Release archive")
    with page.expect_download() as taken:
        line.get_by_role("link", name="Release archive").click()
    taken.value.save_as(tmp_path / "archive.zip")
    digest = hashlib.sha256((tmp_path / "archive.zip").read_bytes()).hexdigest()
    assert digest in line.locator(".proof").inner_html()


def test_report_in_html_is_downloaded_not_shown(enter: Enter, ids: dict[str, int]) -> None:
    page = enter("aud").go(f"/rollouts/{ids['read']}/")
    with page.expect_download() as taken:
        page.locator("#checklist a", has_text="Monitor logs").click()
    assert taken.value.suggested_filename == "monitor.html"


@pytest.mark.parametrize("verb", ["Approve", "Reject", "Start", "Roll back", "Submit", "Save", "Cancel"])
def test_auditor_finds_no_button_that_moves_a_rollout(enter: Enter, ids: dict[str, int], verb: str) -> None:
    page = enter("aud").go(f"/rollouts/{ids['read']}/")
    assert page.get_by_role("button", name=verb).count() == 0


@pytest.mark.parametrize(("verb", "role"), [("decide", "approver"), ("start", "deploy-operator"), ("rollback", "ops")])
def test_post_past_the_page_is_refused_and_names_the_roles(
    enter: Enter, ids: dict[str, int], verb: str, role: str
) -> None:
    aud = enter("aud", fresh=True)
    answer = aud.post(f"/rollouts/{ids['read']}/{verb}/", kind="APPROVE", duty="approver", why="because I can")
    assert answer.status == 403
    assert role in answer.text()


def test_page_of_another_role_says_which_one(enter: Enter) -> None:
    aud = enter("aud")
    aud.expect_status(403)
    aud.go("/rollouts/new/")
    assert "release-owner" in aud.text()


def test_person_without_a_role_is_told_who_gives_one(enter: Enter) -> None:
    otto = enter("otto", expected=(403,))
    assert "no role" in otto.text()
