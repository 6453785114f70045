"""One house for all journeys, and what happened in it: each fixture is a chapter, and may need chapters before it.

A chapter keeps what was seen at its end, because the next one changes the same world.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from monitoring import guards
from rollout.models import Rollout
from tests.base import make_cast
from tests.factories import fresh
from tests.journeys import house as houses
from tests.journeys.house import CANARY, PRODUCTION, STAGING, House
from tests.journeys.person import text_of
from tests.journeys.sight import Chapter


@pytest.fixture(scope="package")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let chapters write with real transactions, past the one that each test is rolled back in; leave it empty.

    The tests must be marked `django_db`: without a marked test pytest-django makes no database.
    """
    with django_db_blocker.unblock():
        yield
        for model in apps.get_models(include_auto_created=True):
            guards.remove(connection, guards.Guard(model=model))
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="package")
def house(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return the house with dhash 1.0.0 live."""
    made = houses.make(Path(tmp_path_factory.mktemp("journeys")) / "world", make_cast())
    yield made
    made.world.stop_all()


@pytest.fixture(scope="package")
def succeeded(house: House) -> Chapter:
    """1.1.0 goes to production and is watched to its end under traffic."""
    before = house.look()
    with house.traffic():
        rollout = house.deploy("1.1.0")
    house.must(rollout, "SUCCEEDED")
    return Chapter(rollout=rollout, before=before, after=house.look())


@pytest.fixture(scope="package")
def breached(house: House, succeeded: Chapter) -> Chapter:
    """1.2.0 goes to production, turns bad under traffic, and is rolled back by itself."""
    with house.traffic():
        rollout = house.deploy("1.2.0")
    house.must(rollout, "ROLLED_BACK")
    return Chapter(rollout=rollout, before=succeeded.after, after=house.look())


@pytest.fixture(scope="package")
def down(house: House, breached: Chapter) -> Chapter:
    """The next rollout is signed; Olaf starts it on the locked target, and once more unlocked, but dhash is down."""
    olaf, tom = house.person("olaf"), house.person("tom")
    before, rollout = house.look(), house.sign(house.submit("1.2.0"))
    locked = text_of(olaf.ask(rollout, "start", digest=rollout.digest))
    path = reverse("target_unlock", args=[rollout.target_id])
    tom.prove()
    answer = tom.post(path, page="/components/dhash/", why="The cause is known: thumbnails are never evicted.")
    assert answer.status_code == 302, text_of(answer)
    house.world.stop(PRODUCTION)
    unlocked = text_of(olaf.ask(rollout, "start", digest=rollout.digest))
    house.drive(rollout)
    house.world.start(PRODUCTION)
    return Chapter(rollout=fresh(rollout), before=before, after=house.look(), told=(locked, unlocked))


@pytest.fixture(scope="package")
def refused(house: House, succeeded: Chapter, down: Chapter) -> Chapter:
    """Tom goes back from 1.1.0, but one byte of its backup is wrong; the byte is mended afterwards."""
    before, rollout = house.look(), fresh(succeeded.rollout)
    backup = Path(rollout.backup.path)
    whole = backup.read_bytes()
    middle = len(whole) // 2
    backup.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    house.person("tom").press(rollout, "rollback", why="The moderation team sees wrong colours.")
    house.drive(rollout)
    backup.write_bytes(whole)
    return Chapter(rollout=fresh(rollout), before=before, after=house.look())


@pytest.fixture(scope="package")
def clicked(house: House, refused: Chapter) -> Chapter:
    """Tom goes back from 1.1.0 once more, with the mended backup."""
    before = house.look()
    house.person("tom").press(refused.rollout, "rollback", why="The backup was copied back from the second disk.")
    house.drive(refused.rollout)
    rollout = fresh(refused.rollout)
    house.must(rollout, "ROLLED_BACK")
    return Chapter(rollout=rollout, before=before, after=house.look())


@pytest.fixture(scope="package")
def crashed(house: House) -> Chapter:
    """1.3.0, which crashes when it starts, is submitted for the canary."""
    before = house.look(CANARY)
    return Chapter(rollout=house.submit("1.3.0", CANARY), before=before, after=house.look(CANARY))


@pytest.fixture(scope="package")
def failed_live(house: House) -> Chapter:
    """1.4.0 starts everywhere but on the canary itself, where a file lies that no rehearsal has."""
    reads = (
        "\nFEATURES = CONFIG.shared / 'features.json'\nif FEATURES.exists():\n    json.loads(FEATURES.read_text())\n"
    )
    house.bring_archive("1.4.0", appended={"dhash/app.py": reads})
    (house.world.root(CANARY) / "shared" / "features.json").write_text("{edited by hand on a Friday")
    before = house.look(CANARY)
    with house.traffic(CANARY):
        rollout = house.deploy("1.4.0", CANARY)
    return Chapter(rollout=rollout, before=before, after=house.look(CANARY))


@pytest.fixture(scope="package")
def down_at_once(house: House) -> Rollout:
    """1.1.0 is submitted for staging, where dhash is down."""
    return house.submit("1.1.0", STAGING)
