"""What of GR_VAR goes into an archive and out of one: never the database, however deep it stands, nor what passes."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.conf import LazySettings

from monitoring import storage
from rollout import own_archive, own_backup, own_places, own_restore
from rollout.own_archive import Archive, Part

NameDatabase = Callable[[Path], None]
FACTS = {"taken_at": "2026-11-23", "host": "local", "vendor": "sqlite", "migrations": [], "audit_head": [0, ""]}


@pytest.fixture
def name_database(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> NameDatabase:
    """Return what lets the settings name an SQLite database."""
    monkeypatch.setattr(own_places, "connection", Mock(vendor="sqlite"))
    return lambda path: monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(path))


@pytest.fixture
def var(settings: LazySettings, tmp_path: Path, name_database: NameDatabase) -> Path:
    """Return a GR_VAR whose database, runner files and backups stand two levels down."""
    root = tmp_path / "var"
    settings.GR_VAR, settings.GR_RUN_DIR, settings.GR_BACKUPS = root, root / "deep" / "run", root / "deep" / "backups"
    settings.GR_ANCHOR_FILE, settings.GR_AUDIT_KEY_FILE = root / "anchors.jsonl", root / "keys" / "audit.pem"
    name_database(root / "db" / "gr.sqlite3")
    for name in ("notices.log", "artifacts/ab/abc", "artifacts/.incoming-1", "db/gr.sqlite3", "deep/kept", "up.lock"):
        write(root / name)
    return root


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def taken(var: Path) -> list[str]:
    return [path.relative_to(var).as_posix() for path in own_places.files()]


def test_history_is_taken_and_neither_the_database_nor_locks_nor_what_is_half_written(var: Path) -> None:
    assert taken(var) == ["artifacts/ab/abc", "deep/kept", "notices.log"]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_the_side_files_of_the_database_are_never_taken(var: Path, suffix: str) -> None:
    write(var / "db" / f"gr.sqlite3{suffix}")
    assert not any(name.startswith("db/") for name in taken(var))


@pytest.mark.parametrize("place", ["deep/run/locks/1.lock", "deep/backups/a.zip", "before-restore-1/x", "a/.own/x"])
def test_what_stands_elsewhere_or_passes_is_never_taken_however_deep(var: Path, place: str) -> None:
    write(var / place)
    assert place not in taken(var)


@pytest.mark.parametrize("place", ["anchors.jsonl", "keys/audit.pem", "keys/older.pem"])
def test_neither_the_anchor_file_nor_a_key_is_taken(var: Path, place: str) -> None:
    write(var / place)
    assert place not in taken(var)


def test_a_key_at_the_top_is_not_taken_and_all_else_is(var: Path, settings: LazySettings) -> None:
    settings.GR_AUDIT_KEY_FILE = write(var / "audit.pem")
    assert taken(var) == ["artifacts/ab/abc", "deep/kept", "notices.log"]


def test_a_database_behind_a_link_is_never_taken(var: Path, name_database: NameDatabase) -> None:
    (var / "link").symlink_to(var / "db")
    name_database(var / "link" / "gr.sqlite3")
    assert not any("gr.sqlite3" in name for name in taken(var))


def test_all_is_taken_where_the_backups_stand_around_it(var: Path, settings: LazySettings) -> None:
    settings.GR_BACKUPS = var.parent
    assert "notices.log" in taken(var)


def test_artifacts_on_another_disk_are_taken(var: Path) -> None:
    write(var.parent / "big" / "ab" / "abc")
    (var / "attachments").symlink_to(var.parent / "big")
    assert "attachments/ab/abc" in taken(var)


def test_the_files_of_secrets_are_taken_and_no_file_that_a_setting_only_names(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GR_ANCHOR_FILE", "GR_AUDIT_KEY_FILE", "GR_TSA_CA_FILE", "DJANGO_SECRET_KEY_FILE"):
        monkeypatch.setenv(name, str(write(var.parent / name)))
    names = {part.name for part in own_backup._keys()}
    assert names == {"keys/.env", "keys/audit.pem", "keys/DJANGO_SECRET_KEY"}


# Out of an archive


def archive_of(var: Path, texts: dict[str, str]) -> Archive:
    source = write(var.parent / "source", "SQLite format 3\0")
    parts = [Part(name="database/db.sqlite3", source=source)]
    parts += [Part(name=name, source=write(var.parent / "sources" / name, text)) for name, text in texts.items()]
    return own_archive.write(var.parent / "own.zip", parts, FACTS, scratch=var.parent)


def unpack(var: Path, **texts: str) -> tuple[Path, list[str]]:
    """Unpack members, named by their last part, and return what was put aside where, and what was said."""
    said: list[str] = []
    aside = var / "before-restore-now"
    own_restore._files(archive_of(var, {f"var/{name}": text for name, text in texts.items()}), aside, said.append)
    return aside, said


@pytest.mark.parametrize(
    "name",
    ["db/gr.sqlite3", "db/gr.sqlite3-wal", "anchors.jsonl", "keys/audit.pem", "deep/run/x", "restoring", "alive.lock"],
)
def test_a_member_that_would_overwrite_what_must_stay_is_refused(var: Path, name: str) -> None:
    write(var / name, "in use")
    _, said = unpack(var, **{name: "raw copy"})
    assert (var / name).read_text() == "in use"
    assert said == [f"var/{name} is left where it is: it is no file to restore"]


def test_a_backup_in_the_place_of_the_database_is_refused(
    var: Path, settings: LazySettings, name_database: NameDatabase
) -> None:
    name_database(write(settings.GR_BACKUPS / "gr.sqlite3", "in use"))
    own_restore._files(archive_of(var, {"backups/gr.sqlite3": "raw copy"}), var / "before-restore", lambda _: None)
    assert (settings.GR_BACKUPS / "gr.sqlite3").read_text() == "in use"


def test_notices_that_were_written_on_since_are_left_as_they_are(var: Path) -> None:
    write(var / "notices.log", "one\ntwo\n")
    aside, _ = unpack(var, **{"notices.log": "one\n"})
    assert ((var / "notices.log").read_text(), aside.exists()) == ("one\ntwo\n", False)


def test_notices_of_another_history_are_put_aside_and_none_is_lost(var: Path) -> None:
    write(var / "notices.log", "of another life\n")
    aside, _ = unpack(var, **{"notices.log": "one\n"})
    assert (aside / "var" / "notices.log").read_text() == "of another life\n"
    assert (var / "notices.log").read_text() == "one\n"


def test_a_damaged_artifact_is_made_whole(var: Path) -> None:
    place = write(var / "artifacts" / "ab" / "abc", "damaged")
    aside, _ = unpack(var, **{"artifacts/ab/abc": "whole"})
    assert (place.read_text(), aside.exists()) == ("whole", False)


def test_the_database_is_put_aside_with_its_side_files_before_anything_is_unpacked(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_restore, "connection", Mock(vendor="sqlite"))
    monkeypatch.setattr(own_restore, "connections", Mock())
    write(var / "db" / "gr.sqlite3-wal", "log")
    own_restore._put_database_aside(var / "before-restore-now")
    assert sorted(path.name for path in (var / "before-restore-now").iterdir()) == ["gr.sqlite3", "gr.sqlite3-wal"]
    assert list((var / "db").iterdir()) == []


def test_a_file_goes_on_only_from_all_of_the_archived_bytes(tmp_path: Path) -> None:
    whole = write(tmp_path / "a", "one\n")
    known = storage.sha256_of(whole), 4
    assert own_places.goes_on(write(tmp_path / "b", "one\ntwo\n"), *known)
    assert not own_places.goes_on(write(tmp_path / "c", "one"), *known)
    assert not own_places.goes_on(tmp_path / "nothing", *known)
