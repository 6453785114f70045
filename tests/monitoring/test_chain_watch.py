"""The chain is verified piece by piece, and what was found wrong stays said."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from monitoring import audit, chain_watch, guards
from monitoring.audit import SYSTEM, Subject
from monitoring.chain_watch import ChainWatch
from monitoring.models import AuditEntry

pytestmark = pytest.mark.django_db


def write(number: int) -> None:
    """Append entries."""
    for _ in range(number):
        with transaction.atomic():
            audit.append(action="x", by=SYSTEM, subject=Subject(kind="t", id="1", label="t"), now=timezone.now())


def test_an_empty_chain_holds() -> None:
    held = ChainWatch().look(timezone.now())
    assert (held.ok, held.complete, held.seq) == (True, True, 0)


def test_a_look_goes_on_where_the_last_one_ended() -> None:
    watch = ChainWatch()
    write(3)
    watch.look(timezone.now())
    write(2)
    held = watch.look(timezone.now())
    assert (held.seq, held.hash, held.complete) == (5, audit.head()[1], True)


def test_a_long_chain_is_verified_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_watch, "STEP", 2)
    write(5)
    watch = ChainWatch()
    assert [(watch.look(timezone.now()).seq) for _ in range(3)] == [2, 4, 5]


def tamper(seq: int, **columns: str) -> None:
    """Change an entry past the guard triggers, as somebody with the database file would."""
    guards.remove(connection, guards.Guard(model=AuditEntry))
    AuditEntry.objects.filter(seq=seq).update(**columns)


def test_a_changed_entry_is_named_and_stays_said() -> None:
    write(4)
    tamper(3, why="nothing to see")
    watch = ChainWatch()
    first, second = watch.look(timezone.now()), watch.look(timezone.now())
    assert not first.ok and first.problems[0].startswith("#3: why shows")
    assert second.problems == first.problems


def test_an_old_entry_that_is_changed_later_is_found_by_the_next_whole_pass() -> None:
    now = [0.0]
    watch = ChainWatch(clock=lambda: now[0])
    write(4)
    assert watch.look(timezone.now()).ok
    tamper(1, why="nothing to see")
    assert watch.look(timezone.now()).ok
    now[0] = chain_watch.AGAIN_S + 1
    assert not watch.look(timezone.now()).ok


def test_entries_that_were_cut_off_are_missed() -> None:
    write(4)
    watch = ChainWatch()
    watch.look(timezone.now())
    guards.remove(connection, guards.Guard(model=AuditEntry))
    write(2)
    AuditEntry.objects.filter(seq__gt=4).delete()
    assert watch.look(timezone.now()).problems == ("the head row says #6, but the chain ends at #4",)
