"""A chain that is verified in pieces says what one pass would."""

import os
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from monitoring import audit_verify, checks, guards
from monitoring.audit_times import Times
from monitoring.audit_verify import GENESIS, WHOLE
from monitoring.models import AuditEntry, AuditHead
from tests.monitoring.effects import later
from tests.monitoring.test_audit import append

pytestmark = pytest.mark.django_db
ENTRIES = 12


def one_by_one(work: Any, chosen: list[audit_verify.Piece]) -> list[Any]:
    """Stand in for the processes, which would not see this test's transaction."""
    return [work(piece) for piece in chosen]


@pytest.fixture
def chain(db: None) -> None:
    for number in range(ENTRIES):
        append(action=f"rollout.{number}")


def cut(number: int) -> list[audit_verify.Piece]:
    return audit_verify.pieces(number, worth=1)


def rows(seq: int) -> QuerySet[AuditEntry]:
    """Return an entry to whoever owns the database, and has taken its guards away."""
    guards.remove(connection, checks.audit_guard())
    return AuditEntry.objects.filter(seq=seq)


def problems(number: int) -> list[str]:
    return audit_verify.verify_database(chosen=cut(number), spread=one_by_one).problems


def test_pieces_join_to_the_whole(chain: None) -> None:
    assert [(after[0], to) for after, to in cut(3)] == [(0, 4), (4, 8), (8, None)]


def test_a_short_chain_is_one_piece(chain: None) -> None:
    assert audit_verify.pieces(8) == WHOLE


def test_an_empty_chain_is_one_piece() -> None:
    assert cut(4) == WHOLE


@pytest.mark.parametrize("number", [1, 2, 3, 5, ENTRIES])
def test_pieces_find_what_one_pass_finds(chain: None, number: int) -> None:
    whole = audit_verify.verify_database()
    found = audit_verify.verify_database(chosen=cut(number), spread=one_by_one)
    assert (found.ok, found.count, found.head, found.last) == (True, ENTRIES, whole.head, ENTRIES)


@pytest.mark.parametrize("seq", [4, 5, 8])
@pytest.mark.parametrize("what", [{"body": "{}"}, {"why": "another"}, {"prev": GENESIS}, {"hash": "a" * 64}])
def test_an_entry_that_was_changed_is_found_at_a_seam_too(chain: None, seq: int, what: dict[str, str]) -> None:
    rows(seq).update(**what)
    found = problems(3)
    assert found == problems(1) and any(line.startswith(f"#{seq}:") for line in found)


@pytest.mark.parametrize("seq", [1, 4, 5, ENTRIES])
def test_an_entry_that_was_removed_is_found_at_a_seam_too(chain: None, seq: int) -> None:
    rows(seq).delete()
    assert problems(3) and problems(3) == problems(1)


def test_links_hold(chain: None) -> None:
    assert audit_verify.verify_links(cut(3), one_by_one) == []


@pytest.mark.parametrize("what", [{"body": "{}"}, {"prev": "b" * 64}, {"hash": "a" * 64}])
@pytest.mark.parametrize("seq", [1, 4, 5, ENTRIES])
def test_a_broken_link_is_found_wherever_it_stands(chain: None, seq: int, what: dict[str, str]) -> None:
    rows(seq).update(**what)
    assert audit_verify.verify_links(cut(3), one_by_one)


def test_heads_from_outside_are_compared_after_the_pieces_are_joined(chain: None) -> None:
    known = {3: AuditEntry.objects.get(seq=3).hash, 11: "c" * 64}
    found = audit_verify.verify_database(known, chosen=cut(3), spread=one_by_one).problems
    assert len(found) == 1 and found[0].startswith("#11: known from outside")


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("outer", [transaction.atomic, nullcontext], ids=["in a transaction", "alone"])
@pytest.mark.django_db(transaction=True)
def test_what_is_appended_while_the_entries_are_read_is_no_break(outer: Any, number: int) -> None:
    with transaction.atomic():
        for name in range(ENTRIES):
            append(action=f"rollout.{name}")
    late = iter(range(1))

    def meanwhile(work: Any, chosen: list[Any]) -> list[Any]:
        found = one_by_one(work, chosen)
        for _ in late:  # once, before the checkpoints are looked at
            with transaction.atomic():
                append(action="rollout.late")
        return found

    with outer():
        found = audit_verify.verify_database(chosen=cut(number), spread=meanwhile)
    assert (found.problems, found.count) == ([], ENTRIES + 1)


def test_what_is_appended_between_the_head_and_its_times_is_no_break(
    chain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, real = iter(range(1)), Times.problem

    def meanwhile(times: Times) -> str:
        for _ in late:
            append(action="rollout.late", now=later(9))
        return real(times)

    monkeypatch.setattr(Times, "problem", meanwhile)
    assert audit_verify.verify_database().problems == []


def test_an_entry_that_is_appended_to_an_edited_head_is_told_all_the_same(chain: None) -> None:
    def meanwhile(work: Any, chosen: list[Any]) -> list[Any]:
        found = one_by_one(work, chosen)
        if AuditEntry.objects.count() == ENTRIES:
            AuditHead.objects.update(seq=ENTRIES + 5)
            append(action="rollout.late")
        return found

    assert audit_verify.verify_database(spread=meanwhile).problems[0].startswith(f"#{ENTRIES + 6}: expected #13")


def where(piece: audit_verify.Piece) -> tuple[int | None, int]:
    return piece[1], os.getpid()


def test_each_piece_has_a_process_of_its_own_and_comes_back_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_verify, "connections", SimpleNamespace(close_all=lambda: None))  # this test's stays open
    told = audit_verify.in_processes(where, [((0, GENESIS), 4), ((4, "a"), None)])
    assert [to for to, _ in told] == [4, None] and os.getpid() not in {pid for _, pid in told}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", [False, True])
def test_processes_verify_what_was_committed(broken: bool) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database is in the memory of one process; PostgreSQL's suite runs this")
    with transaction.atomic():
        for number in range(ENTRIES):
            append(action=f"rollout.{number}")
    if broken:
        rows(5).update(why="another")
    found = audit_verify.verify_database(chosen=cut(3))
    assert (found.count, found.ok) == (ENTRIES, not broken)
