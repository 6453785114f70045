"""Let a test with real transactions be cleaned up: its flush deletes rows that the guard triggers would keep."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection

from monitoring import guards

REAL = {"transactional_db", "live_server"}


@pytest.fixture(autouse=True)
def guardless_flush(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drop the guard triggers after the test and before the flush, whose post_migrate creates them again."""
    marker = request.node.get_closest_marker("django_db")
    marked = marker is not None and (marker.kwargs.get("transaction") or marker.args[:1] == (True,))
    if not (marked or REAL & set(request.fixturenames)):
        yield
        return
    request.getfixturevalue("transactional_db")  # set up before this fixture, so torn down after it
    yield
    for model in apps.get_models():
        guards.remove(connection, guards.Guard(model=model))
