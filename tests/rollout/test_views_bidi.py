"""Words of people reorder nothing on a page: what turns text round is shown by its code."""

import csv
import io
import re

import pytest
from django.contrib.auth.models import User

from monitoring import audit, incidents
from monitoring.audit import Subject
from monitoring.models import AuditEntry
from rollout.models import Release, Rollout, Target
from tests import factories
from tests.factories import NOW, actor, decide
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
TURN = "\u202e"
WORDS = f"looked{TURN}at it"
SHOWN = 'looked<span class="ctl" title="control character U+202E">U+202E</span>at it'


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


def page(user: User, url: str) -> str:
    return browser(user).get(url).content.decode()


def test_the_reason_of_a_decision(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    decide(waiting, cast["ann"], "approver", reason=WORDS)
    for url in (f"/rollouts/{waiting.pk}/", f"/rollouts/{waiting.pk}/sign/"):
        found = page(cast["abe"], url)
        assert SHOWN in found and TURN not in found


def test_the_commits_of_a_release(target: Target, cast: Cast) -> None:
    commit = {"sha": "e" * 40, "subject": WORDS, "author": WORDS, "email": "x@example.org"}
    waiting: Rollout = factories.make_waiting(target, cast["rita"])
    Release.objects.filter(pk=waiting.release_id).update(commits=[commit])
    found = page(cast["ann"], f"/releases/{waiting.release_id}/")
    assert found.count(SHOWN) == 2 and TURN not in found


def test_a_line_of_the_history_and_its_entry(target: Target, cast: Cast) -> None:
    about = Subject(kind="thing", id="1", label=WORDS)
    with audit.turn():
        audit.append(
            action="thing.done", by=actor(cast["ann"]), subject=about, why=WORDS, data={"said": WORDS}, now=NOW
        )
    for url in ("/history/", f"/history/{AuditEntry.objects.latest('seq').seq}/"):
        found = page(cast["aud"], url)
        assert SHOWN in found
        # what the copy button copies are the bytes themselves
        assert TURN not in found.split('class="copy-text"')[0]


def test_the_reason_of_a_lock_and_the_words_of_an_incident(target: Target, cast: Cast) -> None:
    Target.objects.filter(pk=target.pk).update(locked=True, locked_by="tom", lock_reason=WORDS, locked_at=NOW)
    opened = incidents.open(
        subject=Subject(kind="target", id=str(target.pk), label=WORDS, component="dhash", environment="production"),
        severity="P1",
        title=WORDS,
        summary=WORDS,
        runbook="incident",
        by=actor(cast["tom"]),
        routes=(),
        url="",
        now=NOW,
    )
    for url in ("/", "/components/", "/components/dhash/", "/incidents/", f"/incidents/{opened.pk}/"):
        main = page(cast["tom"], url).split("<main")[1]
        # what a copy button copies are the words themselves
        assert SHOWN in main and TURN not in re.sub(r'data-copy="[^"]*"', "", main), url


@pytest.fixture
def told(target: Target, cast: Cast) -> Rollout:
    """Return a rollout with such words as its reason, and the entry of a thing with them."""
    waiting: Rollout = factories.make_waiting(target, cast["rita"])
    Rollout.objects.filter(pk=waiting.pk).update(reason=WORDS)
    with audit.turn():
        about = Subject(kind="thing", id="1", label=WORDS)
        audit.append(action="thing.done", by=actor(cast["ann"]), subject=about, why=f"{WORDS}\x1b[31m", now=NOW)
    return waiting


def test_the_lists_and_pages_of_the_admin_site(told: Rollout, cast: Cast) -> None:
    entry = AuditEntry.objects.latest("seq").pk
    for url in ("auditentry/", f"auditentry/{entry}/change/"):
        found = page(cast["ada"], f"/admin/monitoring/{url}")
        assert "lookedU+202Eat it" in found and "U+001B[31m" in found and TURN not in found and "\x1b" not in found, url
    found = page(cast["ada"], f"/admin/rollout/rollout/{told.pk}/change/")
    assert "lookedU+202Eat it" in found and TURN not in found


def test_what_somebody_searches_for_on_the_admin_site(told: Rollout, cast: Cast) -> None:
    assert TURN not in page(cast["ada"], f"/admin/monitoring/auditentry/?q={TURN}")


@pytest.mark.parametrize(
    ("url", "column"),
    [("/history.csv", "why"), (f"/population.csv?since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}", "reason")],
)
def test_the_cells_of_a_spreadsheet(told: Rollout, cast: Cast, url: str, column: str) -> None:
    text = b"".join(browser(cast["aud"]).get(url).streaming_content).decode()
    cells = [row[column] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert any("lookedU+202Eat it" in cell for cell in cells) and TURN not in text
