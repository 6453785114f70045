"""The drill: an installation is backed up while it is used, destroyed, and restored; on SQLite and on PostgreSQL."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db.models import F
from django.utils import timezone

from approvals.ledger import Refused
from rollout import own_alone, own_archive
from rollout.archive.errors import BackupError
from rollout.models import Heartbeat
from scripts.supervise import only_one

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CODE = ("rollout", "approvals", "monitoring", "templates")
SERVER = os.environ.get("GR_TEST_DATABASE_URL", "")
SKIP = shutil.ignore_patterns("__pycache__", "vendor")


@dataclass
class House:
    """A copy of the product with its own .env, var and backups."""

    root: Path
    database: str

    def run(self, *argv: str, ok: bool = True) -> str:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        done = subprocess.run([sys.executable, *argv], cwd=self.root, env=env, capture_output=True, text=True)
        assert (done.returncode == 0) == ok, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if ok else done.stderr

    def manage(self, *argv: str, ok: bool = True) -> str:
        return self.run("manage.py", *argv, ok=ok)

    def world(self, verb: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.run("-m", "tests.rollout.own_world", verb, str(self.root / "dhash")))
        return told

    def migrate(self) -> None:
        self.manage("migrate", "-v", "0", "--skip-checks")

    def destroy(self) -> None:
        """Lose the disk, and the database with it."""
        shutil.rmtree(self.root / "var")
        shutil.rmtree(self.root / "backups", ignore_errors=True)
        if self.database:
            with psycopg.connect(self.database, autocommit=True) as server:
                server.execute("DROP SCHEMA public CASCADE")
                server.execute("CREATE SCHEMA public")


def make_house(root: Path, database: str) -> House:
    for name in CODE:
        shutil.copytree(ROOT / name, root / name, ignore=SKIP)
    (root / "tests" / "rollout").mkdir(parents=True)
    for name in ("__init__.py", "base.py", "factories.py", "rollout/own_world.py"):
        shutil.copy(ROOT / "tests" / name, root / "tests" / name)
    shutil.copy(ROOT / "manage.py", root)
    line = f"DATABASE_URL={database}\n" if database else ""
    (root / ".env").write_text(f"DJANGO_SECRET_KEY={secrets.token_urlsafe(50)}\n{line}GR_BASE_URL=http://gr.test\n")
    return House(root, database)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of a new PostgreSQL database, or nothing for SQLite."""
    if request.param == "sqlite":
        yield ""
        return
    server_url = request.getfixturevalue("postgres_url")
    name = f"gr_own_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Drill:
    """What stood before, the archive, and what stands after everything was lost and restored."""

    house: House
    archive: Path
    before: dict[str, Any]
    after: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def drill(database: str, tmp_path_factory: pytest.TempPathFactory) -> Drill:
    """Do the drill once: fill, back up, destroy, restore."""
    folder = tmp_path_factory.mktemp("own")
    house, archive = make_house(folder / "house", database), folder / "kept" / "own.zip"
    house.migrate()
    before = house.world("fill")
    house.manage("backup_self", str(archive), "--with-backups")
    house.destroy()
    said = house.manage("restore_self", str(archive))
    return Drill(house, archive, before, house.world("tell"), said)


def test_every_file_is_equal_byte_for_byte(drill: Drill) -> None:
    assert len(drill.before["files"]) == 2
    assert drill.after["files"] == drill.before["files"] == {name: name for name in drill.before["files"]}


def test_the_audit_goes_on_from_where_it_was(drill: Drill) -> None:
    assert drill.after["audit"]["ok"]
    count = len(drill.before["hashes"])
    assert drill.after["hashes"][:count] == drill.before["hashes"]


def test_people_notices_outputs_and_backups_are_back(drill: Drill) -> None:
    for what in ("users", "notices", "outputs", "backups", "subjects"):
        assert drill.after[what] == drill.before[what], what


def test_a_run_that_was_under_way_is_parked_and_never_run_again(drill: Drill) -> None:
    assert drill.before["rollouts"]["1.2.0"] == "RUNNING"
    assert drill.after["rollouts"]["1.2.0"] == "UNKNOWN"
    assert set(drill.after["runs"].values()) == {"UNKNOWN"}


def test_what_was_approved_has_to_be_approved_again(drill: Drill) -> None:
    assert drill.before["rollouts"]["1.1.0"] == "APPROVED"
    assert drill.after["rollouts"]["1.1.0"] == "DRAFT"


def test_every_target_is_locked_and_its_epoch_is_above_all_that_it_may_have_seen(drill: Drill) -> None:
    assert drill.after["targets"] == {"dhash/production": [1000, True], "dhash/staging": [8000, True]}


def test_a_person_is_told_what_to_do(drill: Drill) -> None:
    assert "Restored from a backup" in drill.after["incidents"]
    for words in ("is UNKNOWN at", "it is a draft again", "unlock it when that is right", "revoke tokens"):
        assert words in drill.said


def test_a_second_restore_is_refused_while_something_is_there(drill: Drill) -> None:
    assert "is not empty" in drill.house.manage("restore_self", str(drill.archive), ok=False)


def test_the_archive_is_private(drill: Drill) -> None:
    assert drill.archive.stat().st_mode & 0o777 == 0o600


def test_over_an_installation_it_is_done_only_on_request_and_the_old_database_is_put_aside(drill: Drill) -> None:
    drill.house.manage("restore_self", str(drill.archive), "--replace")
    (aside,) = [one for one in (drill.house.root / "var").glob("before-restore-*") if len(list(one.iterdir())) > 0][-1:]
    assert {one.name for one in aside.iterdir()} & {"db.sqlite3", "db.dump"}
    assert drill.house.world("tell")["audit"]["ok"]


# Refusals, on SQLite: they come before any database is touched


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Path]:
    """Return an empty installation and an archive of it."""
    folder = tmp_path_factory.mktemp("small")
    house, archive = make_house(folder / "house", ""), folder / "own.zip"
    house.migrate()
    house.manage("backup_self", str(archive))
    return house, archive


def damaged(archive: Path, at: int) -> Path:
    copy = archive.with_name(f"damaged-{at}.zip")
    data = bytearray(archive.read_bytes())
    data[at] ^= 1
    copy.write_bytes(data)
    shutil.copy(own_archive.sidecar_of(archive), own_archive.sidecar_of(copy))
    return copy


def test_an_archive_with_a_flipped_bit_is_refused(small: tuple[House, Path]) -> None:
    house, archive = small
    bad = damaged(archive, archive.stat().st_size // 2)
    assert "damaged" in house.manage("restore_self", str(bad), ok=False)


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_a_flipped_bit_is_found_wherever_it_is(small: tuple[House, Path], at: int) -> None:
    archive = small[1]
    with pytest.raises(BackupError):
        own_archive.verify(damaged(archive, archive.stat().st_size * at // 100))


def never(_: float) -> None:
    raise AssertionError("it should have been refused before")


@pytest.mark.django_db
@pytest.mark.parametrize("age_s", [2, -2])
def test_a_restore_is_refused_after_a_sign_of_life_by_the_clock_of_that_moment(age_s: int) -> None:
    Heartbeat.objects.create(name="pulse@local", at=timezone.now() - timedelta(seconds=age_s))
    with pytest.raises(Refused, match="gave a sign of life 2 s ago"):
        own_alone.check_silent(never)


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=1)])
def test_a_restore_is_refused_while_somebody_counts_on_whatever_the_clocks_say(wrong: timedelta) -> None:
    pulse = Heartbeat.objects.create(name="pulse@local", at=timezone.now() + wrong)

    def beat(_: float) -> None:
        Heartbeat.objects.filter(pk=pulse.pk).update(counter=F("counter") + 1)

    with pytest.raises(Refused, match="gives signs of life \\(pulse@local\\)"):
        own_alone.check_silent(beat)


@pytest.mark.django_db
def test_a_restore_is_not_refused_after_half_a_minute_of_silence() -> None:
    Heartbeat.objects.create(name="pulse@local", at=timezone.now() - timedelta(seconds=31))
    own_alone.check_silent(lambda _: None)


def test_a_restore_while_it_runs_is_refused(small: tuple[House, Path]) -> None:
    house, archive = small
    with only_one(house.root / "var" / "up.lock"):
        assert "is running" in house.manage("restore_self", str(archive), ok=False)


def test_the_key_is_in_it_and_comes_back_where_there_is_none(small: tuple[House, Path]) -> None:
    house, archive = small
    env = house.root / ".env"
    key = env.read_text()
    env.write_text("DJANGO_SECRET_KEY=made-by-up-py\n")
    house.manage("restore_self", str(archive))
    assert env.read_text() == key
    assert (house.root / ".env.before-restore").read_text() == "DJANGO_SECRET_KEY=made-by-up-py\n"


def test_an_env_that_somebody_wrote_is_left_as_it_is(small: tuple[House, Path]) -> None:
    house, archive = small
    env = house.root / ".env"
    key = env.read_text()
    env.write_text(f"{key}GR_PORT=1\n")
    said = house.manage("restore_self", str(archive))
    assert (env.read_text(), ".env.restored" in said) == (f"{key}GR_PORT=1\n", True)
    env.write_text(key)


def test_keys_can_be_left_out(small: tuple[House, Path]) -> None:
    house, archive = small
    without = archive.with_name("without.zip")
    house.manage("backup_self", str(without), "--without-keys")
    names = zipfile.ZipFile(without).namelist()
    assert [name for name in names if name.startswith("keys/")] == []


def test_nothing_is_overwritten(small: tuple[House, Path]) -> None:
    house, archive = small
    assert "is there already" in house.manage("backup_self", str(archive), ok=False)


def test_nothing_starts_while_a_restore_is_not_finished(small: tuple[House, Path]) -> None:
    house, archive = small
    marker = house.root / "var" / "restoring"
    marker.write_text("")
    assert "was not finished" in house.manage("pulse", ok=False)
    house.manage("restore_self", str(archive))
    assert not marker.exists()
