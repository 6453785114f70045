"""Work that the database undid, because others were in its way, is done again; what failed by itself is not."""

from collections.abc import Callable

import pytest
from django.db import OperationalError

from rollout import undone


class Deadlock(Exception):
    """As psycopg tells that one of two transactions was ended."""

    sqlstate = "40P01"


def failing(error: OperationalError, times: int) -> Callable[[], str]:
    """Return work that raises an error a number of times, and then is done."""
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return work


def deadlock() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = Deadlock()
    return error


@pytest.mark.parametrize("error", [deadlock(), OperationalError("database is locked")])
def test_what_was_undone_is_done_again(error: OperationalError) -> None:
    assert undone.again(failing(error, undone.TRIES - 1)) == "done"


def test_what_is_undone_every_time_is_told() -> None:
    with pytest.raises(OperationalError):
        undone.again(failing(deadlock(), undone.TRIES))


def test_another_failure_is_told_at_once() -> None:
    work = failing(OperationalError("disk full"), 1)
    with pytest.raises(OperationalError):
        undone.again(work)
    assert work() == "done"
