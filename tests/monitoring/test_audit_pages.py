"""Pages of the audit: every combination of filters, at every position, gives what a plain query over all would give."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from monitoring import audit, audit_pages
from monitoring.audit import Actor, Subject
from monitoring.audit_pages import Wanted, find
from monitoring.models import AuditEntry, AuditHead

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def write(
    number: int, *, at: datetime, action: str, actor: str, place: tuple[str, str], about: tuple[str, str]
) -> None:
    """Append one entry."""
    by = Actor(id=number, name=actor, via="browser")
    subject = Subject(kind=about[0], id=about[1], label="label", component=place[0], environment=place[1])
    with transaction.atomic():
        audit.append(action=action, by=by, subject=subject, now=at)


@pytest.fixture
def world() -> None:
    """Write entries of every mix of values, whose times go to and fro."""
    places = (("dhash", "production"), ("dhash", "staging"), ("web", "production"), ("", ""))
    mixes = product(("rollout.created", "rollout.approved", "run.failed"), ("ann", "tom"), places)
    for number, (action, actor, place) in enumerate(mixes):
        wobble = timedelta(seconds=(number * 7) % 11)
        about = ("rollout", str(number % 3))
        write(
            number, at=START + timedelta(minutes=number) - wobble, action=action, actor=actor, place=place, about=about
        )


SPANS = (
    (None, None),
    (START + timedelta(minutes=5), None),
    (START + timedelta(minutes=4), START + timedelta(minutes=15)),
)
SUBJECTS = (("rollout", "1"), ("rollout", "2"), ("run", "1"))
# the last: what is searched for, subjects or numbers
FILTERS = list(
    product(
        ("", "dhash"), ("", "production"), ("", "tom"), ("", "run.failed", "rollout."), SPANS, ("", "subjects", "seqs")
    )
)


def pages(wanted: Wanted, limit: int) -> list[list[int]]:
    """Return all pages, newest first."""
    found = [find(wanted, limit=limit)]
    while found[-1]:
        found.append(find(wanted, before=found[-1][-1], limit=limit))
    return found[:-1]


def test_every_combination_of_filters_gives_what_a_plain_query_gives(world: None) -> None:
    for number, (component, environment, actor, action, (since, until), search) in enumerate(FILTERS):
        wanted = Wanted(
            component=component,
            environment=environment,
            actor=actor,
            action=action,
            since=since,
            until=until,
            subjects=SUBJECTS if search else None,
            seqs=(3, 7, 11, 99) if search == "seqs" else None,
            only=(None, ("dhash", ""), ("web",))[number % 3],
        )
        plain = list(AuditEntry.objects.filter(wanted.query()).order_by("-seq").values_list("seq", flat=True))
        assert [seq for page in pages(wanted, 9) for seq in page] == plain, wanted


def test_newer_pages_are_the_older_ones_backwards(world: None) -> None:
    wanted = Wanted(environment="production")
    there = pages(wanted, 4)
    assert [find(wanted, after=page[0], limit=4) for page in there[1:]] == there[:-1]


@pytest.mark.parametrize(
    "wanted", [Wanted(component="none"), Wanted(action="none."), Wanted(subjects=()), Wanted(seqs=())]
)
def test_what_is_nowhere_is_an_empty_page(world: None, wanted: Wanted) -> None:
    assert find(wanted, limit=5) == []


def test_an_empty_audit_has_an_empty_page() -> None:
    assert (find(Wanted(), limit=5), audit_pages.places(), audit_pages.actions()) == ([], [], [])


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite says how many steps a query takes")
def test_a_page_further_down_begins_there_and_walks_down_from_nowhere_else() -> None:
    numbers = range(1, 2001)
    AuditEntry.objects.bulk_create(AuditEntry(seq=one, at=START, prev=str(one), hash=str(one)) for one in numbers)
    steps: list[int] = []
    connection.connection.set_progress_handler(lambda: steps.append(100), 100)
    try:
        assert find(Wanted(), before=20, limit=3) == [19, 18, 17]
    finally:
        connection.connection.set_progress_handler(None, 0)
    assert sum(steps) < len(numbers)  # to walk over one entry takes several


def test_places_and_actions_are_those_that_entries_have(world: None) -> None:
    assert audit_pages.places() == [("", ""), ("dhash", "production"), ("dhash", "staging"), ("web", "production")]
    assert audit_pages.actions() == ["rollout.approved", "rollout.created", "run.failed"]


def test_a_clock_that_was_set_back_a_year_hides_nothing() -> None:
    back = START - timedelta(days=365)
    for number, at in enumerate((START, back, START + timedelta(hours=1), back + timedelta(hours=1))):
        write(number, at=at, action="x", actor="tom", place=("", ""), about=("t", "1"))
    old = Wanted(until=START - timedelta(days=1))
    assert (find(old, limit=5), find(Wanted(since=START), limit=5)) == ([4, 2], [3, 1])
    assert AuditHead.objects.get().set_back_us == 365 * 24 * 3600 * 10**6


def test_windows_give_all_entries_in_the_order_of_the_chain(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pages, "WINDOW", 4)
    wanted = Wanted(component="dhash", since=START + timedelta(minutes=3))
    seqs = [entry.seq for window in audit_pages.windows(wanted, upto=20) for entry in window]
    plain = AuditEntry.objects.filter(wanted.query(), seq__lte=20).order_by("seq")
    assert seqs == list(plain.values_list("seq", flat=True))


@pytest.mark.parametrize(
    ("wanted", "most"),
    [(Wanted(), 1), (Wanted(component="dhash", actor="tom", action="run.failed"), 2), (Wanted(since=START), 3)],
)
def test_a_page_takes_a_handful_of_queries(world: None, wanted: Wanted, most: int) -> None:
    with CaptureQueriesContext(connection) as seen:
        find(wanted, limit=5)
    assert len(seen) <= most


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(component="dhash", environment="production"), "audit_place"),
        (Wanted(component="dhash", environment="production", actor="tom"), "audit_place_actor"),
        (Wanted(component="dhash", environment="production", action="run.failed"), "audit_place_action"),
        (Wanted(component="dhash", environment="production", actor="tom", action="run.failed"), "audit_place_both"),
        (Wanted(actor="tom"), "audit_actor"),
        (Wanted(action="run.failed"), "audit_action"),
        (Wanted(actor="tom", action="run.failed"), "audit_actor_action"),
        (Wanted(subjects=(("rollout", "1"),), actor="tom", action="run.failed"), "audit_subject"),
    ],
)
@pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="PostgreSQL reads a small table whole; bench/history.py looks"
)
def test_each_combination_has_an_index_of_its_own(world: None, wanted: Wanted, index: str) -> None:
    columns, terms, rest = audit_pages._terms(wanted)
    conditions, values = audit_pages._conditions(wanted, rest, 0, 10**6)
    sql = audit_pages._sql(columns, len(terms), conditions, "DESC")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", audit_pages._parameters(terms, values, 5))
        steps = [row[3] for row in cursor.fetchall()]
    assert {name for one in steps for name in re.findall(r"audit_\w+", one)} == {index}
