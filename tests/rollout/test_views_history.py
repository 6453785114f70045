"""The history page: filters, pages that do not shift, proof, and the CSV."""

import csv
import io
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring import audit, audit_pages, chain_watch, verify
from monitoring.audit import Actor, Subject
from monitoring.models import AuditEntry
from rollout.models import Target
from rollout.views import history, verified
from tests import factories
from tests.monitoring.signed import house, notary
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
TOM = Actor(id=77, name="tom", via="browser")


@pytest.fixture(autouse=True)
def own_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test verify from the first entry: another test's chain is another chain."""
    monkeypatch.setattr(verified, "WATCH", chain_watch.ChainWatch(start=lambda work: None))


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
        ("action=thing.", 5),
        ("action=thing", 0),
        ("actor=tom&action=thing.", 3),
        ("component=dhash&action=thing.", 5),
        ("component=dhash&environment=staging", 0),
        ("until=2020-01-01", 0),
        ("since=2020-01-01&action=thing.", 5),
        ("q=thing+1", 0),
        ("q=incident+1", 0),
        ("q=no+such+version", 0),
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


@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31"])
@pytest.mark.parametrize("page", ["/history/", "/history.csv", "/population/"])
def test_a_day_at_the_end_of_the_calendar_is_refused_beside_the_field(
    cast: Cast, target: Target, page: str, query: str
) -> None:
    answer = browser(cast["aud"]).get(f"{page}?since=2026-01-01&until=2026-02-01&{query}")
    assert (answer.status_code, "Ensure this value is" in answer.content.decode()) == (400, True)


def test_pages_go_on_from_a_number_and_back(cast: Cast, target: Target) -> None:
    write(history.PAGE * 2)
    client = browser(cast["aud"])
    first = client.get("/history/?action=thing.done")
    second = client.get(f"/history/?{first.context['older']}")
    write(5)
    assert seqs(second)[0] == seqs(first)[-1] - 1
    assert seqs(client.get(f"/history/?{second.context['newer']}")) == seqs(first)
    assert "action=thing.done" in first.context["older"] and second.context["older"] == ""


@pytest.mark.parametrize("number", ["x", "-1", "9" * 30, "٣", ""])
def test_a_page_number_that_is_none_shows_the_newest(cast: Cast, target: Target, number: str) -> None:
    answer = browser(cast["aud"]).get("/history/", {"before": number})
    assert seqs(answer)[0] == audit.head()[0]


def test_a_subject_leads_to_its_page(cast: Cast, target: Target) -> None:
    release = factories.make_release(target.component, cast["rita"])
    (line, *_) = browser(cast["aud"]).get("/history/?action=release.").context["entries"]
    entry = browser(cast["aud"]).get(f"/history/{line['row'].seq}/").content.decode()
    assert f'href="/releases/{release.pk}/"' in entry


def test_an_entry_without_facts_tells_none(cast: Cast, target: Target) -> None:
    write(1, action="thing.plain")
    entry = AuditEntry.objects.get(action="thing.plain")
    page = browser(cast["aud"]).get(f"/history/{entry.seq}/").content.decode()
    assert ("<dt>value</dt>" in page, "<dt>Proof</dt>" in page) == (False, True)


def test_a_filter_that_no_choice_offers_stays_in_sight(cast: Cast, target: Target) -> None:
    page = browser(cast["aud"]).get("/history/?component=gone&action=never.done").content.decode()
    assert '<option value="gone" selected>' in page and '<option value="never.done" selected>' in page


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


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\nx"])
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cast: Cast, target: Target, formula: str) -> None:
    write(1, why=formula)
    assert lines(browser(cast["aud"]).get("/history.csv?action=thing.done"))[0]["why"] == f"'{formula}"


def test_a_cell_that_would_begin_after_a_carriage_return_begins_with_its_code(cast: Cast, target: Target) -> None:
    write(1, why="\r=1+1")
    assert lines(browser(cast["aud"]).get("/history.csv?action=thing.done"))[0]["why"].startswith("U+000D")


def test_taking_the_csv_is_audited_with_the_filters(cast: Cast, target: Target) -> None:
    write(1)
    b"".join(browser(cast["aud"]).get("/history.csv?actor=tom").streaming_content)
    entry = AuditEntry.objects.get(action="history.exported")
    assert entry.actor_name == "aud" and '"actor":"tom"' in entry.body


def test_the_page_takes_the_same_queries_however_long_the_history_and_however_deep(cast: Cast, target: Target) -> None:
    client = browser(cast["aud"])
    few = queries(client, "/history/")
    write(60)
    assert queries(client, "/history/") == queries(client, "/history/?before=9") == few


def test_nothing_is_counted(cast: Cast, target: Target) -> None:
    client = browser(cast["aud"])
    with CaptureQueriesContext(connection) as seen:
        client.get("/history/?component=dhash&action=thing.&since=2020-01-01")
    about = [one["sql"] for one in seen.captured_queries if "monitoring_auditentry" in one["sql"]]
    assert about and not [sql for sql in about if "COUNT(" in sql.upper()]


def found(client: Client, words: str) -> set[tuple[str, str]]:
    """Return kind and number of the subjects that a search shows."""
    answer = client.get("/history/", {"q": words})
    return {(one["row"].subject_kind, one["row"].subject_id) for one in answer.context["entries"]}


def test_a_rollout_is_found_with_its_release_by_number_and_by_version(cast: Cast, target: Target) -> None:
    rollout = factories.make_draft(target, cast["rita"], "1.1.0")
    factories.make_draft(target, cast["rita"], "1.2.0")
    own = {("rollout", str(rollout.pk)), ("release", str(rollout.release_id))}
    client = browser(cast["aud"])
    assert found(client, f"rollout {rollout.pk}") == found(client, "1.1.0") == found(client, "dhash 1.1.0") == own


def test_an_entry_is_found_by_number_and_by_the_beginning_of_its_hash(cast: Cast, target: Target) -> None:
    write(2)
    entry = AuditEntry.objects.filter(action="thing.done").first()
    assert entry is not None
    client = browser(cast["aud"])
    for words in (f"#{entry.seq}", str(entry.seq), entry.hash[:12], entry.hash):
        assert seqs(client.get("/history/", {"q": words})) == [entry.seq]


def test_the_json_lines_of_the_whole_history_verify_offline(cast: Cast, target: Target) -> None:
    write(3)
    answer = browser(cast["aud"]).get("/history.jsonl")
    exported = b"".join(answer.streaming_content).decode().splitlines()
    result = verify.verify_entries(verify.read_jsonl(exported))
    assert (result.problems, result.count) == ([], audit.head()[0] - 1)  # the entry of the export itself stays out


def test_the_whole_history_comes_with_its_checkpoints_a_filtered_one_without(
    cast: Cast, target: Target, settings: LazySettings, tmp_path: Path
) -> None:
    house(settings, tmp_path)
    notary().look(timezone.now())
    client = browser(cast["aud"])
    whole, part = (b"".join(client.get(f"/history.jsonl{query}").streaming_content) for query in ("", "?action=user."))
    assert len(list(verify.read_signed(whole.decode().splitlines()))) == 1
    assert b'"checkpoint"' not in part


def test_the_page_says_what_is_signed(cast: Cast, target: Target, settings: LazySettings, tmp_path: Path) -> None:
    client = browser(cast["ann"])
    assert "No checkpoint is signed yet" in client.get("/history/").content.decode()
    house(settings, tmp_path)
    notary().look(timezone.now())
    assert f"Signed up to entry {audit.head()[0]}" in client.get("/history/").content.decode()


def test_the_json_lines_are_for_auditors(cast: Cast, target: Target) -> None:
    assert browser(cast["ann"]).get("/history.jsonl").status_code == 403
    assert "history.jsonl" not in browser(cast["ann"]).get("/history/").content.decode()


def test_an_export_comes_in_pieces(cast: Cast, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pages, "WINDOW", 2)
    write(5)
    rows = lines(browser(cast["aud"]).get("/history.csv?action=thing.done"))
    assert len(rows) == 5
