"""A restore over a living installation whose database, runner files and backups stand two levels below GR_VAR."""

import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rollout import alive, runner
from tests.rollout.test_own_backup import House, make_house

pytestmark = pytest.mark.slow
START_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return an empty installation where all that has its own way into an archive stands deep in GR_VAR."""
    root = tmp_path_factory.mktemp("nested") / "house"
    made, var = make_house(root, f"sqlite:///{root}/var/db/gr.sqlite3"), root / "var"
    with (root / ".env").open("a") as env:
        env.write(f"GR_RUN_DIR={var}/deep/run\nGR_BACKUPS={var}/deep/backups\n")
    for name in ("db", "deep/backups"):
        (var / name).mkdir(parents=True)
    (var / "deep" / "backups" / "dhash_production_20261123_120000.zip").write_text("of dhash")
    (var / "notices.log").write_text("one\n")
    made.migrate()
    return made


@pytest.fixture(scope="module")
def archive(house: House) -> Path:
    """Return its archive; a database in use has a write-ahead log beside it."""
    kept = house.root.parent / "own.zip"
    with closing(sqlite3.connect(database(house))) as busy:
        busy.execute("PRAGMA journal_mode=WAL")
        busy.execute("CREATE TABLE of_the_backup (one)")
        house.manage("backup_self", str(kept))
    return kept


def database(house: House) -> Path:
    return house.root / "var" / "db" / "gr.sqlite3"


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as opened:
        return {name for (name,) in opened.execute("SELECT name FROM sqlite_schema")}


@contextmanager
def living(house: House, *argv: str) -> Iterator[int]:
    """Run a process of the installation that gives no sign of life, until the block ends."""
    env = {"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "rollout.settings"}
    with (house.root / "living.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *argv], cwd=house.root, env=env, stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_WITHIN_S
        while not is_seen(house, process.pid):
            assert process.poll() is None and time.monotonic() < until, (house.root / "living.log").read_text()
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def is_seen(house: House, pid: int) -> bool:
    lock = house.root / "var" / alive.NAME
    return lock.exists() and any(one.startswith(f"{pid} ") for one in runner.holders(lock))


def test_an_archive_holds_no_raw_copy_of_the_database_nor_what_stands_elsewhere(house: House, archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    assert sorted(name for name in names if name.startswith(("var/", "database/"))) == [
        "database/db.sqlite3",
        "var/notices.log",
    ]


@pytest.mark.parametrize("argv", [("manage.py", "worker"), ("-c", "import rollout.wsgi, time; time.sleep(600)")])
def test_a_restore_is_refused_while_a_silent_process_lives_and_it_is_named(
    house: House, archive: Path, argv: tuple[str, ...]
) -> None:
    with living(house, *argv) as pid:
        said = house.manage("restore_self", str(archive), "--replace", ok=False)
    assert "is running" in said and f"pid {pid} (" in said
    assert list((house.root / "var").glob("before-restore-*")) == []


def test_what_was_done_since_the_backup_is_put_aside_whole_and_no_notice_is_lost(house: House, archive: Path) -> None:
    with closing(sqlite3.connect(database(house))) as since:
        since.execute("CREATE TABLE done_since (one)")
        since.execute("DELETE FROM rollout_heartbeat")  # a worker of the test before was alive a moment ago
        since.commit()
    (house.root / "var" / "notices.log").write_text("one\ntwo\n")
    house.manage("restore_self", str(archive), "--replace")
    (aside,) = (house.root / "var").glob("before-restore-*")
    assert "done_since" in tables(aside / "gr.sqlite3")
    assert "of_the_backup" in tables(database(house)) and "done_since" not in tables(database(house))
    assert (house.root / "var" / "notices.log").read_text().startswith("one\ntwo\n")
