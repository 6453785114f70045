"""A snapshot is of one moment, lets writers go on, and writes nothing itself; on real databases, by two connections."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import environ
import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.utils import ConnectionHandler

from monitoring.snapshot import snapshot


def pair(values: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield two connections, and a table with one row behind both."""
    both = ConnectionHandler({name: dict(values) for name in ("default", "other")})
    one, other = both["default"], both["other"]
    for each in (one, other):
        each.inc_thread_sharing()
    name = f"t{uuid4().hex[:8]}"
    with other.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (n integer)")
        cursor.execute(f"INSERT INTO {name} VALUES (1)")
    one.table = name
    yield one, other
    with other.cursor() as cursor:
        cursor.execute(f"DROP TABLE {name}")
    both.close_all()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """Return two connections to a database of its own."""
    if request.param == "sqlite":
        options = {**settings.DATABASES["default"].get("OPTIONS", {})}
        yield from pair({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db"), "OPTIONS": options})
    else:
        yield from pair(environ.Env.db_url_config(request.getfixturevalue("postgres_url")))


@pytest.fixture(autouse=True)
def reach(django_db_blocker: Any) -> Iterator[None]:
    """Let a test reach databases that are none of pytest's."""
    with django_db_blocker.unblock():
        yield


def rows(one: Any, table: str) -> int:
    with one.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def add(one: Any, table: str) -> None:
    with one.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (2)")


def test_what_is_written_meanwhile_is_not_seen_and_waits_for_nobody(two: tuple[Any, Any]) -> None:
    reader, writer = two
    with snapshot(reader):
        before = rows(reader, reader.table)
        add(writer, reader.table)
        assert (before, rows(reader, reader.table), rows(writer, reader.table)) == (1, 1, 2)
    assert rows(reader, reader.table) == 2


def test_nothing_is_written_inside(two: tuple[Any, Any]) -> None:
    reader, _ = two
    with snapshot(reader), pytest.raises(DatabaseError):
        add(reader, reader.table)
    add(reader, reader.table)
    assert rows(reader, reader.table) == 2


@pytest.mark.django_db
def test_inside_of_a_transaction_it_goes_on_with_that(db: None) -> None:
    with snapshot():
        assert connection.in_atomic_block
