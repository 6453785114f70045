"""Reads of one moment: what a long export reads must fit together, and nobody may wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# By hand: Django's own transaction would be IMMEDIATE on SQLite, and keep everybody else from writing.
BEGIN = {
    "sqlite": ("BEGIN DEFERRED", "PRAGMA query_only = ON"),
    "postgresql": ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
}
END = {"sqlite": ("ROLLBACK", "PRAGMA query_only = OFF"), "postgresql": ("ROLLBACK",)}


@contextmanager
def snapshot(using: Any = connection) -> Iterator[None]:
    """Let all that is read inside be of one moment; writers go on, and nothing can be written inside.

    Inside of a transaction there is no new moment: then that one is gone on with.
    """
    if using.in_atomic_block:
        yield
        return
    with using.cursor() as cursor:
        for statement in BEGIN[using.vendor]:
            cursor.execute(statement)
        try:
            yield
        finally:
            for statement in END[using.vendor]:
                cursor.execute(statement)
