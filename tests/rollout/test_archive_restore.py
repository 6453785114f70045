"""A restore puts back exactly what was saved, survives kill -9 at any moment, and proves it by a second look."""

import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from rollout.archive import restore as restoring
from rollout.archive.dump import changes, row_counts
from rollout.archive.errors import BackupError, CorruptBackup, NoSpace
from rollout.archive.proof import prove
from rollout.archive.restore import rehearse_into
from tests.rollout.archive_world import (
    DATABASE,
    LIVE,
    bring_back,
    make_environment,
    picture,
    quiet,
    save,
    spoil,
)

CHANGING = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.symlink",
    "os.chmod",
    "os.utime",
    "os.truncate",
    "open",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    spec = make_environment(place / "env")
    return spec, save(spec, place / "backups")


@pytest.fixture
def backup(made):
    return made[1].path


@pytest.fixture
def root(tmp_path):
    """An environment that a bad release has spoiled."""
    make_environment(tmp_path / "env")
    spoil(tmp_path / "env")
    return tmp_path / "env"


def saved_picture(made):
    """What the saved parts looked like, the database as its copy in the archive."""
    found = picture(made[0].root)
    found[DATABASE] = next(member.sha256 for member in contents_of(made[1].path).members if member.path == DATABASE)
    return {name: what for name, what in found.items() if not name.startswith(f"{DATABASE}-")}


def contents_of(path):
    return restoring.verify(path, sha256=None, component=None, environment=None, progress=quiet)


def test_every_byte_link_and_mode_is_put_back(made, backup, root):
    proof = bring_back(backup, root)
    found = picture(root)
    assert found.pop("releases/0002-1.1.0") == "directory"
    assert (proof.equal, proof.differences, found) == (True, (), saved_picture(made))
    assert (root / LIVE / "dhash/ctl").stat().st_mode & 0o777 == 0o755


def test_the_database_holds_the_saved_rows_and_no_journal_is_left(backup, root):
    bring_back(backup, root)
    assert row_counts(root / DATABASE) == {"image": 50}


def test_the_database_may_be_kept(backup, root):
    (root / f"{DATABASE}-wal").unlink()
    before = (root / DATABASE).read_bytes()
    assert bring_back(backup, root, keep_database=True).equal
    assert (root / DATABASE).read_bytes() == before


def test_a_restore_into_nothing_makes_everything(made, backup, tmp_path):
    assert bring_back(backup, tmp_path / "new").equal
    assert picture(tmp_path / "new") == saved_picture(made)


def test_what_is_already_equal_is_not_touched(backup, root):
    bring_back(backup, root)
    before = (root / LIVE).stat().st_ino
    assert bring_back(backup, root).equal
    assert (root / LIVE).stat().st_ino == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda root: (root / LIVE / "dhash/hash.py").write_text("other"),
        lambda root: (root / LIVE / "dhash/new.pyc").touch(),
        lambda root: (root / LIVE / "none/new").mkdir(),
        lambda root: (root / LIVE / "dhash/empty.py").unlink(),
        lambda root: (root / LIVE / "dhash/ctl").chmod(0o644),
        lambda root: (root / "shared/config/local.toml").touch(),
        lambda root: (root / f"{DATABASE}-wal").write_bytes(b"frames"),
        lambda root: (root / DATABASE).unlink(),
        lambda root: ((root / "current").unlink(), (root / "current").symlink_to("releases")),
        lambda root: ((root / "current").unlink(), (root / "current").mkdir()),
        lambda root: (root / LIVE).rename(root / "away"),
    ],
)
def test_the_proof_sees_any_difference(backup, root, damage):
    bring_back(backup, root)
    assert prove(backup, root, False).equal
    damage(root)
    proof = prove(backup, root, False)
    assert not proof.equal
    assert proof.differences


def test_a_proof_that_fails_keeps_what_was_replaced(backup, root, monkeypatch):
    prove_then = restoring.prove

    def meddled(contents, place, keep, **more):
        (place / LIVE / "intruder").touch()
        return prove_then(contents, place, keep, **more)

    monkeypatch.setattr(restoring, "prove", meddled)
    lines: list[str] = []
    proof = restoring.restore(
        backup,
        sha256=None,
        component="dhash",
        environment="production",
        root=root,
        keep_database=False,
        log=lines.append,
        progress=quiet,
    )
    assert not proof.equal
    assert (root / "releases/.replaced-0001-1.0.0/dhash/extra.py").exists()
    assert f"NOT EQUAL {LIVE}/intruder: expected missing, found extra" in lines


def test_an_archive_exchanged_after_the_verification_is_refused(backup, root, monkeypatch, tmp_path):
    before = picture(root)
    copy = tmp_path / "backups" / backup.name
    copy.parent.mkdir()
    copy.write_bytes(backup.read_bytes())
    copy.with_name(f"{copy.name}.sha256").write_text(backup.with_name(f"{backup.name}.sha256").read_text())
    checked = restoring.verify

    def exchanged(path, **more):
        contents = checked(path, **more)
        data = bytearray(path.read_bytes())
        at = data.index(b"\x03\x04") + 400
        data[at : at + 300] = bytes(300)
        path.write_bytes(data)
        return contents

    monkeypatch.setattr(restoring, "verify", exchanged)
    with pytest.raises(CorruptBackup):
        bring_back(copy, root)
    after = {name: what for name, what in picture(root).items() if ".restoring-" not in name}
    assert after == before


def test_too_little_room_is_said_before_anything_is_touched(backup, root, monkeypatch):
    before = picture(root)
    monkeypatch.setattr(restoring.shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(NoSpace, match="make room"):
        bring_back(backup, root)
    assert picture(root) == before


class Usage:
    """A full disk."""

    free = 1


def test_a_rehearsal_restores_into_an_empty_place(made, backup, tmp_path):
    assert rehearse_into(backup, tmp_path / "scratch", log=quiet, progress=quiet).equal
    assert picture(tmp_path / "scratch") == saved_picture(made)


def test_a_rehearsal_refuses_a_place_that_holds_anything(backup, root):
    with pytest.raises(BackupError, match="is not empty"):
        rehearse_into(backup, root, log=quiet, progress=quiet)


def test_progress_ends_at_one_hundred_and_never_goes_back(backup, tmp_path):
    seen: list[int] = []
    rehearse_into(backup, tmp_path / "scratch", log=quiet, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_changes_tell_by_how_many_rows_each_table_grew():
    assert changes({"image": 50, "gone": 2, "same": 1}, {"image": 53, "same": 1, "new": 4}) == {
        "gone": -2,
        "image": 3,
        "new": 4,
    }


def killed_at(number: int, backup, root) -> bool:
    """Restore in a process that kills itself before its number-th change of the disk; say whether it did."""
    child = os.fork()
    if child == 0:
        left = number

        def count(event: str, args: tuple) -> None:
            nonlocal left
            if event in CHANGING and (event != "open" or str(root) in str(args[0])):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            bring_back(backup, root)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
def test_a_restore_killed_at_any_moment_is_finished_by_running_it_again(made, backup, tmp_path):
    expected = saved_picture(made) | {"releases/0002-1.1.0": "directory"}
    for number in range(1, 1000):
        root = tmp_path / str(number)
        make_environment(root)
        spoil(root)
        was_killed = killed_at(number, backup, root)
        assert (root / "current").is_symlink()
        assert sum(place.exists() for place in (root / LIVE, root / "releases/.replaced-0001-1.0.0")) >= 1
        killed_at(number + 7, backup, root)
        assert bring_back(backup, root).equal, number
        assert picture(root) == expected, number
        if not was_killed:
            break
    assert number > 40


def test_the_service_can_write_to_a_restored_database(backup, root):
    bring_back(backup, root)
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("INSERT INTO image (hash) VALUES ('new')")
        database.commit()
    assert row_counts(root / DATABASE) == {"image": 51}
