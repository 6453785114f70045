"""Knows work that the database undid because others were in its way, and does it again from the start."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

T = TypeVar("T")
TRIES = 3
DEADLOCK = ("40P01", "40001")


def is_undone(error: OperationalError) -> bool:
    """Say whether nothing of a transaction is left, because others were in its way.

    PostgreSQL ends one of two that wait for each other; on SQLite one gives up that waited its 20 seconds for its turn.
    """
    return getattr(error.__cause__, "sqlstate", "") in DEADLOCK or "database is locked" in str(error)


def again(work: Callable[[], T], *, tries: int = TRIES) -> T:
    """Do work that may be begun any number of times, at most `tries` times while the database undoes it."""
    for _ in range(tries - 1):
        try:
            return work()
        except OperationalError as error:
            if not is_undone(error):
                raise
    return work()
