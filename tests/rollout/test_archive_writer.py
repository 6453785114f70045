"""What a backup is: its name, its bytes, its place, what it holds."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
import zipfile
from contextlib import closing
from datetime import timedelta

import pytest

from rollout.archive import pack, writer
from rollout.archive.dump import row_counts, sqlite_copy
from rollout.archive.errors import BackupError, CorruptBackup, HostileArchive
from rollout.archive.reader import verify
from rollout.archive.spec import BackupSpec
from tests.rollout.archive_world import DATABASE, LIVE, NOW, make_environment, quiet, save


@pytest.fixture
def spec(tmp_path) -> BackupSpec:
    return make_environment(tmp_path / "env")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


def test_the_name_carries_component_environment_and_utc_second(spec, folder):
    assert save(spec, folder).path == folder / "dhash_production_20260301_120000.zip"


def test_only_the_owner_can_read_a_backup(spec, folder):
    path = save(spec, folder).path
    modes = [place.stat().st_mode & 0o777 for place in (folder, path, writer.sidecar_of(path))]
    assert modes == [0o700, 0o600, 0o600]


def test_nothing_temporary_is_left(spec, folder):
    path = save(spec, folder).path
    assert sorted(item.name for item in folder.iterdir()) == [path.name, f"{path.name}.sha256"]


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed")
def test_sha256sum_accepts_the_sidecar_from_the_project_root(spec, folder):
    path = save(spec, folder).path
    done = subprocess.run(["sha256sum", "-c", f"backups/{path.name}.sha256"], cwd=folder.parent, capture_output=True)
    assert (done.returncode, done.stdout) == (0, f"backups/{path.name}: OK\n".encode())


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_finds_no_fault_and_unpacks_the_same_tree(spec, folder, tmp_path):
    path = save(spec, folder).path
    assert subprocess.run(["unzip", "-tq", path], capture_output=True).returncode == 0
    subprocess.run(["unzip", "-q", path, "-d", tmp_path / "out"], check=True)
    out = tmp_path / "out/root" / LIVE
    assert (out / "dhash/hash.py").read_bytes() == (spec.root / LIVE / "dhash/hash.py").read_bytes()
    assert os.readlink(out / "lib") == "dhash/hash.py"
    assert (out / "dhash/ctl").stat().st_mode & 0o777 == 0o755


def test_pythons_zipfile_finds_no_fault(spec, folder):
    with zipfile.ZipFile(save(spec, folder).path) as archive:
        assert archive.testzip() is None


def test_the_manifest_tells_whose_backup_it_is_and_what_is_in_it(spec, folder):
    with zipfile.ZipFile(save(spec, folder).path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    told = {key: manifest[key] for key in ("format", "component", "environment", "release", "kind", "created", "rows")}
    assert told == {
        "format": 1,
        "component": "dhash",
        "environment": "production",
        "release": "1.0.0",
        "kind": "backup",
        "created": "2026-03-01T12:00:00+00:00",
        "rows": {DATABASE: {"image": 50}},
    }
    types = {member["path"]: (member["type"], member["target"]) for member in manifest["members"]}
    assert types[f"{LIVE}/none"] == ("directory", "")
    assert types[f"{LIVE}/lib"] == ("symlink", "dhash/hash.py")
    assert types["current"] == ("symlink", LIVE)


def test_modes_and_times_are_kept(spec, folder):
    contents = verify(save(spec, folder).path, sha256=None, component=None, environment=None, progress=quiet)
    for name in (LIVE, f"{LIVE}/none", f"{LIVE}/dhash/ctl", "shared/config/dhash.toml"):
        status = (spec.root / name).stat()
        assert (contents.at(name).mode, contents.at(name).mtime_ns) == (status.st_mode & 0o7777, status.st_mtime_ns)


def test_a_second_backup_in_the_same_second_waits_and_never_overwrites(spec, folder, monkeypatch):
    waited = []
    monkeypatch.setattr(writer.time, "sleep", waited.append)
    first, second = save(spec, folder), save(spec, folder)
    assert second.path.name == "dhash_production_20260301_120001.zip"
    assert waited == [1]
    assert writer.storage.sha256_of(first.path) == first.sha256


def test_a_backup_being_written_holds_its_second(spec, folder, monkeypatch):
    monkeypatch.setattr(writer.time, "sleep", quiet)
    folder.mkdir()
    (folder / ".dhash_production_20260301_120000.zip.partial").touch()
    assert save(spec, folder).path.name == "dhash_production_20260301_120001.zip"


def test_an_undo_copy_never_matches_the_pattern_of_backups(spec, folder):
    path = save(spec, folder, kind="undo").path
    assert list(folder.glob("dhash_*.zip")) == []
    assert list(folder.rglob("dhash_*")) == []
    assert verify(path, sha256=None, component="dhash", environment="production", progress=quiet).kind == "undo"


def test_progress_ends_at_one_hundred_and_never_goes_back(spec, folder):
    seen: list[int] = []
    writer.create(spec, folder, now=NOW, log=quiet, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_a_database_written_during_the_copy_is_consistent(tmp_path):
    live = tmp_path / "live.sqlite3"
    with closing(sqlite3.connect(live)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE a (n)")
        database.execute("CREATE TABLE b (n)")
    stop = threading.Event()
    started = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(live, isolation_level=None)) as database:
            while not stop.is_set():
                database.execute("BEGIN")
                database.execute("INSERT INTO a VALUES (randomblob(3000))")
                database.execute("INSERT INTO b VALUES (1)")
                database.execute("COMMIT")
                started.set()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        started.wait(5)
        counts = []
        for number in range(10):
            sqlite_copy(live, tmp_path / f"{number}.sqlite3")
            counts.append(row_counts(tmp_path / f"{number}.sqlite3"))
    finally:
        stop.set()
        writing.join()
    assert all(count["a"] == count["b"] > 0 for count in counts)


def test_rows_only_in_the_write_ahead_log_are_saved(spec, folder):
    with closing(sqlite3.connect(spec.root / DATABASE, isolation_level=None)) as database:
        database.execute("INSERT INTO image (hash) VALUES ('late')")
        assert save(spec, folder).rows[DATABASE]["image"] == 51


def test_a_damaged_database_is_not_saved(spec, folder):
    with (spec.root / DATABASE).open("r+b") as database:
        database.seek(4096)
        database.write(b"\xff" * 2048)
    with pytest.raises((CorruptBackup, BackupError), match="damaged"):
        save(spec, folder)
    assert list(folder.iterdir()) == []


def test_a_missing_database_is_named(spec, folder):
    (spec.root / DATABASE).unlink()
    with pytest.raises(BackupError, match="does not exist or is a link; correct `sqlite`"):
        save(spec, folder)


def test_a_link_that_names_another_release_is_refused(spec, folder):
    (spec.root / "current").unlink()
    (spec.root / "current").symlink_to("releases/0009")
    with pytest.raises(BackupError, match="is not a link to"):
        save(spec, folder)


def test_an_environment_without_a_live_release_is_refused(spec, folder):
    (spec.root / "current").unlink()
    with pytest.raises(BackupError, match="is not a link to"):
        save(spec, folder)


def test_a_file_that_grows_while_it_is_saved_is_refused(spec, folder, monkeypatch):
    target = spec.root / "shared/config/dhash.toml"
    packing = pack.pack_batch

    def grown(entries):
        with target.open("a") as out:
            out.write("more")
        return packing(entries)

    monkeypatch.setattr(pack, "pack_batch", grown)
    with pytest.raises(BackupError, match="changed while it was being saved"):
        save(spec, folder)
    assert list(folder.iterdir()) == []


def test_a_socket_is_refused_by_name(spec, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(spec.root / "shared/config")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind("ctl.sock")
        with pytest.raises(BackupError, match=r"ctl\.sock is a socket"):
            save(spec, folder)


@pytest.mark.parametrize("name", ["back\\slash", "turn\u202eed", "new\nline"])
def test_a_name_that_could_not_be_restored_is_refused(spec, folder, name):
    (spec.root / "shared/config" / name).touch()
    with pytest.raises(HostileArchive, match="rename it"):
        save(spec, folder)


@pytest.mark.parametrize(
    "change",
    [
        {"directories": ("shared",)},
        {"directories": ("../other",)},
        {"directories": (LIVE,)},
        {"component": "../dhash"},
        {"environment": ""},
        {"sqlite": ("/etc/passwd",)},
    ],
)
def test_a_set_that_leaves_the_root_or_overlaps_is_refused(spec, change):
    values = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    with pytest.raises(BackupError):
        BackupSpec(**{**values, **change})


def test_what_a_killed_backup_left_is_swept_after_a_day(spec, folder):
    save(spec, folder)
    old, young = folder / ".scratch-old", folder / ".scratch-young"
    for left in (old, young):
        left.mkdir()
    long_ago = (NOW - timedelta(days=4000)).timestamp()
    os.utime(old, (long_ago, long_ago))
    save(spec, folder, now=NOW + timedelta(seconds=5))
    assert (old.exists(), young.exists()) == (False, True)
