"""Writers of a SQLite database wait in fair turns: who waits asks as often as who came a moment ago."""

import gc
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from rollout.fair_sqlite3 import base

TIMEOUT_S = 7


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def mine(place: Path, django_db_blocker: Any) -> Iterator[base.DatabaseWrapper]:
    options = {"transaction_mode": "IMMEDIATE", "timeout": TIMEOUT_S}
    named = {"ENGINE": "rollout.fair_sqlite3", "NAME": str(place), "OPTIONS": options}
    connection = ConnectionHandler({"default": named})["default"]
    with django_db_blocker.unblock():
        connection.connect()
        yield connection
        connection.close()


@pytest.fixture
def other(place: Path) -> Iterator[sqlite3.Connection]:
    """Return another writer, who is at it."""
    connection = sqlite3.connect(place, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long was slept each time; the time passes at once."""
    told: list[float] = []
    monkeypatch.setattr(base, "time", SimpleNamespace(sleep=told.append, monotonic=lambda: sum(told)))
    return told


def patience_ms(connection: base.DatabaseWrapper) -> int:
    return int(connection.connection.execute("PRAGMA busy_timeout").fetchone()[0])


def begin(connection: base.DatabaseWrapper) -> None:
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def test_the_product_uses_it() -> None:
    assert settings.DATABASES["default"]["ENGINE"] == "rollout.fair_sqlite3"


def test_a_writer_begins_when_the_other_has_ended(
    mine: base.DatabaseWrapper, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = SimpleNamespace(sleep=lambda seconds: other.rollback(), monotonic=lambda: 0.0)
    monkeypatch.setattr(base, "time", ends)
    begin(mine)
    assert mine.connection.in_transaction


def test_who_has_waited_long_asks_as_often_as_at_first(
    mine: base.DatabaseWrapper, other: sqlite3.Connection, slept: list[float]
) -> None:
    with pytest.raises(OperationalError, match="locked"):
        begin(mine)
    assert max(slept) <= base.AGAIN_S[1] and sum(slept) >= TIMEOUT_S


def test_a_refusal_leaves_no_cursor_for_the_garbage_collector_of_another_thread(
    mine: base.DatabaseWrapper, other: sqlite3.Connection, slept: list[float]
) -> None:
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(OperationalError):
            begin(mine)
        left = [
            one for one in gc.get_objects() if isinstance(one, sqlite3.Cursor) and one.connection is mine.connection
        ]
    finally:
        gc.enable()
    assert left == []


def test_sqlite_itself_waits_again_after_a_begin(mine: base.DatabaseWrapper) -> None:
    begin(mine)
    assert patience_ms(mine) == 1000 * TIMEOUT_S


def test_sqlite_itself_waits_again_after_nothing_began(
    mine: base.DatabaseWrapper, other: sqlite3.Connection, slept: list[float]
) -> None:
    with pytest.raises(OperationalError):
        begin(mine)
    assert patience_ms(mine) == 1000 * TIMEOUT_S


def test_what_is_no_matter_of_turns_is_told_at_once(mine: base.DatabaseWrapper, slept: list[float]) -> None:
    begin(mine)
    with pytest.raises(OperationalError, match="within a transaction"):
        mine._start_transaction_under_autocommit()
    assert slept == []
