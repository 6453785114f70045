"""Let a test with real transactions be cleaned up: its flush deletes rows that the guard triggers would keep."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
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
    for model in apps.get_models(include_auto_created=True):
        guards.remove(connection, guards.Guard(model=model))


@pytest.fixture(autouse=True)
def no_anchors() -> None:
    """Forget what the test before signed: its database went back, which the product would never do unseen."""
    Path(settings.GR_ANCHOR_FILE).unlink(missing_ok=True)
