"""Which backups may go: pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollout import retention
from rollout.retention import Held

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def held(number: int, age_days: float, **changed: object) -> Held:
    one = Held(
        id=number,
        target=1,
        undo=False,
        verified=True,
        created_at=NOW - timedelta(days=age_days),
        keep_days=30,
        needed=False,
    )
    return replace(one, **changed)  # type: ignore[arg-type]


def gone(*backups: Held) -> list[int]:
    return [one.id for one in retention.over(backups, now=NOW)]


FRESH = held(99, 1)


def test_a_backup_whose_days_are_over_goes() -> None:
    assert gone(held(1, 31), FRESH) == [1]


def test_a_backup_stays_to_the_end_of_its_last_day() -> None:
    assert gone(held(1, 30), FRESH) == []


def test_the_oldest_goes_first() -> None:
    assert gone(held(1, 31), held(2, 40), FRESH) == [2, 1]


def test_the_last_verified_backup_of_a_target_stays_whatever_its_age() -> None:
    assert gone(held(1, 400), held(2, 300)) == [1]


def test_each_target_keeps_its_own_last_one() -> None:
    assert gone(held(1, 400), held(2, 300, target=2)) == []


def test_an_unverified_newer_one_does_not_make_the_last_verified_one_go() -> None:
    assert gone(held(1, 400), held(2, 1, verified=False)) == []


def test_an_undo_copy_does_not_make_the_last_verified_backup_go() -> None:
    assert gone(held(1, 400), held(2, 1, undo=True)) == []


def test_an_undo_copy_goes_in_its_time() -> None:
    assert gone(held(1, 31, undo=True), FRESH) == [1]


def test_a_backup_that_is_needed_stays() -> None:
    assert gone(held(1, 400, needed=True), FRESH) == []


def test_a_backup_of_which_nobody_says_how_long_stays() -> None:
    assert gone(held(1, 4000, keep_days=None), FRESH) == []


def test_a_backup_of_the_future_stays() -> None:
    assert gone(held(1, -400), FRESH, held(2, 1)) == []
