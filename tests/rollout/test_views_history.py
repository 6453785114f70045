"""The history page: filters, pages that do not shift, proof, and the CSV."""

import csv
import io

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from monitoring import audit, chain_watch
from monitoring.audit import Actor, Subject
from monitoring.models import AuditEntry
from rollout.models import Target
from rollout.views import history
from tests import factories
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
TOM = Actor(id=77, name="tom", via="browser")


@pytest.fixture(autouse=True)
def own_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test verify from the first entry: another test's chain is another chain."""
    monkeypatch.setattr(history, "WATCH", chain_watch.ChainWatch())


def write(number: int, *, action: str = "thing.done", by: Actor = TOM, label: str = "thing", why: str = "") -> None:
    """Append entries."""
    for count in range(number):
        with transaction.atomic():
            about = Subject(kind="thing", id=str(count), label=label, component="dhash", environment="production")
            audit.append(action=action, by=by, subject=about, why=why, now=timezone.now())


def seqs(answer) -> list[int]:
    """Return the sequence numbers that a page shows."""
    return [entry["row"].seq for entry in answer.context["entries"]]


def lines(answer) -> list[dict[str, str]]:
    """Return the rows of a CSV answer."""
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=thing.done", 3),
        ("action=thing", 5),
        ("actor=tom&action=thing", 3),
        ("component=dhash&q=thing", 5),
        ("component=dhash&environment=staging", 0),
        ("q=tuesday", 2),
        ("until=2020-01-01", 0),
        ("since=2020-01-01&q=thing", 5),
    ],
)
def test_filters_stand_in_the_url(cast: Cast, target: Target, query: str, expected: int) -> None:
    write(3)
    write(2, action="thing.undone", by=audit.SYSTEM, why="it was Tuesday")
    answer = browser(cast["aud"]).get(f"/history/?{query}")
    assert (answer.status_code, len(seqs(answer))) == (200, expected)


def test_a_date_that_is_none_is_said_so_and_shows_nothing(cast: Cast, target: Target) -> None:
    answer = browser(cast["aud"]).get("/history/?since=yesterday")
    assert (answer.status_code, seqs(answer)) == (400, [])


def test_pages_go_on_from_a_number_and_back(cast: Cast, target: Target) -> None:
    write(history.PAGE * 2)
    client = browser(cast["aud"])
    first = client.get("/history/?q=thing")
    second = client.get(f"/history/?{first.context['older']}")
    write(5)
    assert seqs(second)[0] == seqs(first)[-1] - 1
    assert seqs(client.get(f"/history/?{second.context['newer']}")) == seqs(first)
    assert "q=thing" in first.context["older"] and second.context["older"] == ""


@pytest.mark.parametrize("number", ["x", "-1", "9" * 30, "٣", ""])
def test_a_page_number_that_is_none_shows_the_newest(cast: Cast, target: Target, number: str) -> None:
    answer = browser(cast["aud"]).get("/history/", {"before": number})
    assert seqs(answer)[0] == audit.head()[0]


def test_an_entry_shows_the_bytes_that_were_hashed(cast: Cast, target: Target) -> None:
    write(1)
    entry = AuditEntry.objects.get(action="thing.done")
    page = browser(cast["aud"]).get("/history/").content.decode()
    assert entry.body.replace('"', "&quot;") in page
    assert f"<code>{entry.hash}</code>" in page and f"<code>{entry.prev}</code>" in page


def test_a_subject_leads_to_its_page(cast: Cast, target: Target) -> None:
    release = factories.make_release(target.component, cast["rita"])
    page = browser(cast["aud"]).get("/history/?action=release").content.decode()
    assert f'href="/releases/{release.pk}/"' in page


def test_the_page_says_how_far_the_chain_was_verified(cast: Cast, target: Target) -> None:
    write(3)
    client = browser(cast["aud"])
    assert f"Verified up to entry {audit.head()[0]}" in client.get("/history/").content.decode()


def test_a_broken_chain_is_said_loudly(cast: Cast, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    write(3)
    monkeypatch.setattr(audit, "head", lambda: (AuditEntry.objects.count() + 1, "f" * 64))
    assert "THE CHAIN IS BROKEN" in browser(cast["aud"]).get("/history/").content.decode()


def test_the_csv_holds_what_the_filters_leave_oldest_first(cast: Cast, target: Target) -> None:
    write(3)
    write(2, action="thing.undone")
    answer = browser(cast["aud"]).get("/history.csv?action=thing.done")
    rows = lines(answer)
    assert [row["action"] for row in rows] == ["thing.done"] * 3
    assert [int(row["seq"]) for row in rows] == sorted(int(row["seq"]) for row in rows)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="history-')


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cast: Cast, target: Target, formula: str) -> None:
    write(1, why=formula)
    assert lines(browser(cast["aud"]).get("/history.csv?action=thing"))[0]["why"] == f"'{formula}"


def test_taking_the_csv_is_audited_with_the_filters(cast: Cast, target: Target) -> None:
    write(1)
    b"".join(browser(cast["aud"]).get("/history.csv?actor=tom").streaming_content)
    entry = AuditEntry.objects.get(action="history.exported")
    assert entry.actor_name == "aud" and '"actor":"tom"' in entry.body


def test_the_page_takes_the_same_queries_however_long_the_history(cast: Cast, target: Target) -> None:
    client = browser(cast["aud"])
    few = queries(client, "/history/")
    write(60)
    assert queries(client, "/history/") == few
