"""One house for all journeys, and what happened in it, in order: each fixture is a chapter that may need the ones before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from monitoring import guards
from rollout.models import Rollout
from tests.base import make_cast
from tests.journeys import house as houses
from tests.journeys.house import House


@pytest.fixture(scope="package")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let chapters write with real transactions, past the one that each test is rolled back in; leave it empty.

    The tests must be marked `django_db`: without a marked test pytest-django makes no database.
    """
    with django_db_blocker.unblock():
        yield
        for model in apps.get_models():
            guards.remove(connection, guards.Guard(model=model))
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="package")
def house(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return the house with dhash 1.0.0 live."""
    made = houses.make(Path(tmp_path_factory.mktemp("journeys")) / "world", make_cast())
    yield made
    made.world.stop_all()


@pytest.fixture(scope="package")
def succeeded(house: House) -> Rollout:
    """Return 1.1.0's rollout to production, watched to its end under traffic."""
    with house.traffic():
        rollout = house.deploy("1.1.0")
    house.must(rollout, "SUCCEEDED")
    return rollout
