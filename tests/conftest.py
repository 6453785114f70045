"""Fixtures that every test may use, and the loud skips of what this machine lacks."""

import gc
import os
import shutil
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import TestCase

from monitoring import chain_watch
from tests.base import Client, make_cast
from tests.factories import that_day
from tests.guardless import guardless_flush, no_anchors
from tests.turns import Turns

__all__ = ["guardless_flush", "no_anchors"]

REAL_CLOCKS = ("slow", "browser", "fault", "today")
REQUIRED = {word for word in os.environ.get("GR_TEST_REQUIRE", "").split(",") if word}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run, on a database that is named, only what touches a database: the rest was run on the default one."""
    if not os.environ.get("GR_SUITE_DATABASE_URL"):
        return
    touching = {"db", "transactional_db", "live_server", "postgres_url"}
    idle = [
        item
        for item in items
        if not item.get_closest_marker("django_db") and not touching & set(getattr(item, "fixturenames", ()))
    ]
    config.hook.pytest_deselected(items=idle)
    left_out = set(idle)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what stays: looking through all of Django again and again cost 6 %."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def lacks(what: str, why: str) -> None:
    """Skip loudly, or fail when GR_TEST_REQUIRE says that this machine must have it."""
    if what in REQUIRED:
        pytest.fail(f"GR_TEST_REQUIRE names {what}, but {why}")
    pytest.skip(f"{what.upper()} MISSING: {why}")


@pytest.fixture
def on_that_day() -> Iterator[None]:
    """Let a test live on the day of the factories."""
    with that_day():
        yield


@pytest.fixture(autouse=True)
def one_day(request: pytest.FixtureRequest) -> None:
    """Let every test live on that day, whenever it is run, but those whose processes would not follow."""
    if not any(map(request.node.get_closest_marker, REAL_CLOCKS)):
        request.getfixturevalue("on_that_day")


@pytest.fixture(autouse=True)
def turns(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose code touched a row, and appended to the audit after it: see audit.turn."""
    mark, in_class = request.node.get_closest_marker("django_db"), issubclass(request.cls or object, TestCase)
    if not (mark or "db" in request.fixturenames) or (mark and mark.kwargs.get("transaction")):
        yield
        return
    request.getfixturevalue("db")
    # TestCase wraps its tests once more, later; so does a test that undoes what it did, game after game
    later = in_class + (request.node.get_closest_marker("undoes") is not None)
    watched = Turns(own=len(connection.savepoint_ids) + later)
    with connection.execute_wrapper(watched):
        yield
    assert watched.faults == [], "these rows were touched before audit.turn()"


@pytest.fixture(autouse=True, scope="session")
def no_thread_that_verifies() -> None:
    """Let no page begin a thread beside a test: it would read, and lock, the test's own database."""
    chain_watch.WATCH.start = lambda work: None


@pytest.fixture
def client() -> Client:
    """Return a browser whose forms carry a key, in the place of pytest-django's."""
    return Client()


@pytest.fixture
def cast(db: None) -> dict[str, User]:
    """Return the standing cast by name."""
    return make_cast()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("GR_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)
    if not found:
        lacks("chromium", "none of chromium, chromium-browser, google-chrome is on the PATH and GR_CHROMIUM is not set")
    return str(found)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of a PostgreSQL that tests may use."""
    url = os.environ.get("GR_TEST_DATABASE_URL", "")
    if not url:
        lacks("postgres", "GR_TEST_DATABASE_URL is not set")
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        lacks("postgres", f"GR_TEST_DATABASE_URL does not answer: {error}")
    yield url


@pytest.fixture(scope="session")
def redis() -> Iterator[socket.socket]:
    """Return a connection to the Redis that tests may use."""
    url = os.environ.get("GR_TEST_REDIS_URL", "")
    if not url:
        lacks("redis", "GR_TEST_REDIS_URL is not set")
    parts = urlsplit(url)
    try:
        connection = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout=3)
    except OSError as error:
        lacks("redis", f"GR_TEST_REDIS_URL does not answer: {error}")
    with connection:
        yield connection
