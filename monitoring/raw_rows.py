"""Rows as the driver reads them, without objects and converters, whatever somebody wrote into the database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connection
from django.db.models import F, Func, TextField

P = ParamSpec("P")
T = TypeVar("T")
Rows = list[tuple[Any, ...]]
# A moment as the bodies write it, if it is kept, raw, as the product keeps it: on SQLite a text, with microseconds
# where there are some. Anything else must match no body, and crash nobody who reads it.
DAY = "????-??-?? ??:??:??"
ON_SQLITE = (
    f"CASE WHEN typeof({{0}}) = 'text' AND {{0}} GLOB '{DAY}.??????' AND {{0}} NOT GLOB '*.000000' "
    f"THEN replace({{0}}, ' ', 'T') || '+00:00' WHEN typeof({{0}}) = 'text' AND {{0}} GLOB '{DAY}' "
    "THEN replace({0}, ' ', 'T') || '.000000+00:00' ELSE 'kept as ' || typeof({0}) || ': ' || quote({0}) END"
)
# to_char has no text for infinity, and none that tells years before Christ
ON_POSTGRESQL = (
    "COALESCE(CASE WHEN {0} >= '0001-01-01 00:00:00+00' THEN to_char({0} AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00' END, 'kept as ' || {0}::text)"
)
LARGEST = 2**63 - 1  # SQLite sorts texts, which it keeps in a column of numbers too, above every number
NUMBER = "CASE WHEN typeof({0}) = 'integer' THEN {0} ELSE -1 END"


def written(name: str) -> Func:
    """Return the expression that reads a moment as the bodies write it."""
    template = ON_SQLITE if connection.vendor == "sqlite" else ON_POSTGRESQL
    return Func(F(name), template=template.format("%(expressions)s"), output_field=TextField())


def kept(name: str) -> Func:
    """Return the expression that reads whatever stands in a column as a text."""
    template = "quote({0})" if connection.vendor == "sqlite" else "{0}::text"
    return Func(F(name), template=template.format("%(expressions)s"), output_field=TextField())


def number(name: str) -> F | Func:
    """Return the expression that reads a whole number; SQLite keeps in its column whatever is put there."""
    return Func(F(name), template=NUMBER.format("%(expressions)s")) if connection.vendor == "sqlite" else F(name)


def fetch(sql: str, params: Sequence[Any], size: int) -> Iterator[Rows]:
    """Yield what a query finds in lists of that size at most; a text that is no UTF-8 is read all the same."""
    done = 0
    try:
        for rows in _fetch(sql, params, size):
            yield rows
            done += len(rows)
    except OperationalError as error:
        if not _is_no_text(error):
            raise
        with any_text():
            for rows in _fetch(sql, params, size):
                if fresh := rows[max(0, done) :]:
                    yield fresh
                done -= len(rows)


@contextmanager
def any_text(errors: str = "surrogateescape") -> Iterator[None]:
    """Let SQLite read texts that are no UTF-8: what is wrong in them becomes lone surrogates, which no text has.

    A function called for every text is slow, so this is for where it is known to be needed, or for few rows.
    """
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    driver: Any = connection.connection
    before, driver.text_factory = driver.text_factory, lambda text: text.decode("utf-8", errors)
    try:
        yield
    finally:
        driver.text_factory = before


def whatever_stands(work: Callable[P, T]) -> Callable[P, T]:
    """Let a page that reads entries read them again when one of them is no text, and show the bytes that are wrong."""

    @wraps(work)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except OperationalError as error:
            if not _is_no_text(error):
                raise
            with any_text("backslashreplace"):  # no page can be written with lone surrogates in it
                return work(*args, **kwargs)

    return reading


def _is_no_text(error: OperationalError) -> bool:
    return "decode" in str(error)


def _fetch(sql: str, params: Sequence[Any], size: int) -> Iterator[Rows]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(size):
            yield rows
