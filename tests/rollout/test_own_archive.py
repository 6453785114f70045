"""An archive that is whole as a zip, but is no installation, is refused before anything is touched."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import own_archive
from rollout.archive.errors import BackupError
from rollout.own_archive import Archive, Part

FACTS = {
    "taken_at": "2026-11-23T12:00:00",
    "host": "local",
    "vendor": "sqlite",
    "migrations": [],
    "audit_head": [0, ""],
}
SQLITE = b"SQLite format 3\0 and the rest"


def make(
    folder: Path, *, data: bytes = SQLITE, names: tuple[str, ...] = ("database/db.sqlite3",), **facts: Any
) -> Archive:
    """Write an archive whose every byte is as its manifest says."""
    source = folder / "source"
    source.write_bytes(data)
    kept = {name: value for name, value in {**FACTS, **facts}.items() if value is not None}
    parts = [Part(name=name, source=source) for name in names]
    return own_archive.write(folder / "made.zip", parts, kept, scratch=folder)


def test_one_that_holds_all_is_taken(tmp_path: Path) -> None:
    assert make(tmp_path).below(own_archive.DATABASE) == ["database/db.sqlite3"]


@pytest.mark.parametrize("fact", own_archive.FACTS)
def test_a_manifest_without_what_a_restore_rests_on_is_refused(tmp_path: Path, fact: str) -> None:
    with pytest.raises(BackupError, match=fact):
        make(tmp_path, **{fact: None})


@pytest.mark.parametrize("names", [("var/a",), ("database/a", "database/b")])
def test_it_holds_one_database(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BackupError, match="where one is expected"):
        make(tmp_path, names=names)


@pytest.mark.parametrize(("vendor", "data"), [("sqlite", b""), ("sqlite", b"PGDMP"), ("postgresql", SQLITE)])
def test_what_is_no_database_is_not_taken_for_one(tmp_path: Path, vendor: str, data: bytes) -> None:
    with pytest.raises(BackupError, match=f"no database of {vendor}"):
        make(tmp_path, vendor=vendor, data=data)


def test_a_vendor_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="oracle"):
        make(tmp_path, vendor="oracle")


def test_what_a_killed_backup_left_is_removed_by_the_next_into_the_same_directory(tmp_path: Path) -> None:
    left, fresh = tmp_path / f"{own_archive.SCRATCH}left", tmp_path / f"{own_archive.SCRATCH}of-another"
    for folder in (left, fresh):
        folder.mkdir()
        (folder / "db.sqlite3").touch()
    moment = time.time() - own_archive.STALE_S - 1
    os.utime(left, (moment, moment))
    with own_archive.scratch(tmp_path) as mine:
        assert sorted(tmp_path.iterdir()) == sorted([fresh, mine])
    assert list(tmp_path.iterdir()) == [fresh]


def test_an_archive_that_is_not_finished_stands_in_the_directory_that_is_removed(tmp_path: Path) -> None:
    def broken() -> Iterator[Part]:
        raise OSError("no such disk")
        yield

    with pytest.raises(OSError, match="no such disk"), own_archive.scratch(tmp_path) as mine:
        own_archive.write(tmp_path / "made.zip", broken(), FACTS, scratch=mine)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_never_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "made.zip").write_text("the one of yesterday")
    with pytest.raises(FileExistsError):
        make(tmp_path)
    assert (tmp_path / "made.zip").read_text() == "the one of yesterday"
