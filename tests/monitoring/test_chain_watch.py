"""The chain is verified piece by piece, and what was found wrong stays said."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from monitoring import acceptance, audit, chain_watch, guards
from monitoring.audit import SYSTEM, Subject
from monitoring.chain_watch import ChainWatch
from monitoring.models import AuditEntry, AuditHead

from .signed import house

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


@pytest.fixture
def met(short: None, settings, tmp_path) -> tuple[ChainWatch, list[float]]:
    """Let a watch have met a break far before the head; return it with its clock."""
    house(settings, tmp_path)
    write(9)
    tamper(3, why="nothing to see")
    now = [0.0]
    watch = ChainWatch(clock=lambda: now[0], start=lambda work: work())
    watch.look(timezone.now())
    assert (watch.look(timezone.now()).ok, watch.held.seq) == (False, 4)
    return watch, now


def accept() -> None:
    acceptance.accept(by=SYSTEM, why="we know", now=timezone.now())


def test_a_break_that_was_put_right_is_gone_with_the_next_whole_pass(met: tuple[ChainWatch, list[float]]) -> None:
    watch, now = met
    tamper(3, why="")
    assert not watch.look(timezone.now()).ok
    now[0] = chain_watch.AGAIN_S + 1
    watch.look(timezone.now())
    held = watch.look(timezone.now())
    assert (held.ok, held.seq) == (True, 9)


def test_a_break_that_stays_is_told_after_the_next_whole_pass_too(met: tuple[ChainWatch, list[float]]) -> None:
    watch, now = met
    for _ in range(3):
        now[0] += chain_watch.AGAIN_S + 1
        assert watch.look(timezone.now()).problems[0].startswith("#3: why shows")


def test_a_break_that_is_accepted_is_gone_at_once(met: tuple[ChainWatch, list[float]]) -> None:
    watch, _ = met
    accept()
    write(4)
    watch.look(timezone.now())
    held = watch.look(timezone.now())
    assert (held.ok, held.complete) == (True, True)


def test_on_the_way_to_an_acceptance_nothing_before_it_is_told(met: tuple[ChainWatch, list[float]]) -> None:
    accept()
    left: list[chain_watch.Work] = []
    watch = ChainWatch(start=left.append)
    watch.look(timezone.now())
    seen = [chain_watch._step(chain_watch.Held())]
    while not seen[-1].complete:
        seen.append(chain_watch._step(seen[-1]))
    assert [one.ok for one in seen] == [True] * len(seen) and seen[-1].seq == 10


def test_a_break_that_nobody_accepted_is_told_behind_one_that_was(met: tuple[ChainWatch, list[float]]) -> None:
    accept()
    write(3)
    tamper(12, why="nothing to see")
    watch = ChainWatch(start=lambda work: work())
    watch.look(timezone.now())
    assert [one[:9] for one in watch.look(timezone.now()).problems] == ["#12: why "]


def test_a_database_that_was_set_back_is_read_anew_once_that_is_accepted(settings, tmp_path) -> None:
    house(settings, tmp_path)
    write(6)
    watch = ChainWatch(start=lambda work: work())
    watch.look(timezone.now())
    guards.remove(connection, guards.Guard(model=AuditEntry))
    AuditEntry.objects.filter(seq__gt=3).delete()
    AuditHead.objects.update(seq=3, hash=AuditEntry.objects.get(seq=3).hash)
    assert watch.look(timezone.now()).problems == ("the head row says #3, entry #6 was there before",)
    with audit.turn():
        about = Subject(kind="audit", id="1", label="audit")
        audit.append(action="audit.set_back_accepted", by=SYSTEM, subject=about, now=timezone.now())
    watch.look(timezone.now())
    held = watch.look(timezone.now())
    assert (held.ok, held.seq, held.newest) == (True, 4, 4)
