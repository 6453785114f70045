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


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two entries be near, and a thread's step; it does not rest."""
    monkeypatch.setattr(chain_watch, "NEAR", 2)
    monkeypatch.setattr(chain_watch, "STEP", 2)
    monkeypatch.setattr(chain_watch, "REST_S", 0)


def test_a_long_chain_is_left_to_a_thread(short: None) -> None:
    left: list[chain_watch.Work] = []
    watch = ChainWatch(start=left.append)
    write(5)
    first, second = watch.look(timezone.now()), watch.look(timezone.now())
    assert [(one.seq, one.newest, one.complete) for one in (first, second)] == [(0, 5, False)] * 2
    assert len(left) == 1
    left[0]()
    assert (watch.look(timezone.now()).seq, watch.busy) == (5, False)


def test_a_thread_ends_at_what_it_finds_broken(short: None) -> None:
    write(7)
    tamper(3, why="nothing to see")
    watch = ChainWatch(start=lambda work: work())
    watch.look(timezone.now())
    assert watch.held.problems[0].startswith("#3: why shows")
    assert watch.held.seq == 4


def test_while_the_chain_is_verified_anew_the_last_result_stays(short: None) -> None:
    now, left = [0.0], []
    watch = ChainWatch(clock=lambda: now[0], start=left.append)
    write(2)
    watch.look(timezone.now())
    now[0] = chain_watch.AGAIN_S + 1
    held = watch.look(timezone.now())
    assert (held.seq, held.complete, len(left)) == (2, True, 1)


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
    watch = ChainWatch(clock=lambda: now[0], start=lambda work: work())
    write(4)
    assert watch.look(timezone.now()).ok
    tamper(1, why="nothing to see")
    assert watch.look(timezone.now()).ok
    now[0] = chain_watch.AGAIN_S + 1
    watch.look(timezone.now())
    assert not watch.look(timezone.now()).ok


def test_entries_that_were_cut_off_are_missed() -> None:
    write(4)
    watch = ChainWatch()
    watch.look(timezone.now())
    guards.remove(connection, guards.Guard(model=AuditEntry))
    write(2)
    AuditEntry.objects.filter(seq__gt=4).delete()
    assert watch.look(timezone.now()).problems == ("the head row says #6, but the chain ends at #4",)
