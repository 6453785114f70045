"""A raw copy takes what can be read, tells what cannot, and leaves nothing half."""

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitoring import storage
from rollout.archive import raw
from rollout.archive.errors import BackupError
from rollout.archive.raw import RawSpec
from rollout.archive.writer import sidecar_of
from tests.rollout.archive_world import quiet

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "env"
    (place / "shared/config").mkdir(parents=True)
    (place / "shared/config/a.toml").write_text("a = 1\n")
    (place / "shared/config/empty").touch()
    (place / "shared/config/link").symlink_to("a.toml")
    (place / "shared/big").write_bytes(os.urandom(3 * raw.CHUNK_BYTES + 17))
    return place


def save(root: Path, *paths: str, postgresql: tuple[str, ...] = ()) -> tuple[Path, tuple[str, ...]]:
    spec = RawSpec(
        component="dhash",
        environment="production",
        release="1.1.0",
        root=root,
        paths=paths,
        postgresql=postgresql,
        why="it is damaged",
    )
    report, faults = raw.save(spec, root.parent / "backups", now=NOW, log=quiet)
    return report.path, faults


def left(root: Path) -> list[Path]:
    return list((root.parent / "backups/undo").iterdir())


def test_every_byte_is_in_a_zip_that_any_tool_reads(root: Path) -> None:
    path, faults = save(root, "shared/big", "shared/config")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("root/shared/big") == (root / "shared/big").read_bytes()
        assert archive.read("root/shared/config/a.toml") == b"a = 1\n"
        assert archive.read("root/shared/config/empty") == b""
    assert faults == ()


def test_the_sha256_stands_beside_it(root: Path) -> None:
    path, _ = save(root, "shared")
    assert sidecar_of(path).read_text() == f"{storage.sha256_of(path)}  backups/undo/{path.name}\n"


def test_a_path_named_twice_is_kept_once(root: Path) -> None:
    path, _ = save(root, "shared", "shared/config")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist().count("root/shared/config/a.toml") == 1


def test_names_that_no_archive_can_hold_are_told_and_the_rest_is_kept(root: Path) -> None:
    (root / "shared/config/back\\slash").touch()
    (root / os.fsdecode(b"shared/config/\xff")).touch()
    (root / "shared/config/bad").symlink_to(os.fsdecode(b"\xff"))
    path, faults = save(root, "shared/config")
    assert len(faults) == 3
    with zipfile.ZipFile(path) as archive:
        assert "root/shared/config/a.toml" in archive.namelist()


def test_a_file_that_shrinks_meanwhile_is_kept_as_far_as_it_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = raw.entry

    def before(place: Path, path: str) -> raw.Entry:
        found = real(place, path)
        if path == "shared/big":
            os.truncate(found.source, 10)
        return found

    monkeypatch.setattr(raw, "entry", before)
    path, faults = save(root, "shared/big")
    assert faults == (f"'shared/big': 10 of {3 * raw.CHUNK_BYTES + 17} bytes could be read",)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.read("root/shared/big")) == 10


def test_a_file_that_vanishes_meanwhile_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = raw.entry

    def before(place: Path, path: str) -> raw.Entry:
        found = real(place, path)
        if path.endswith("a.toml"):
            found.source.unlink()
        return found

    monkeypatch.setattr(raw, "entry", before)
    assert save(root, "shared/config")[1] == ("'shared/config/a.toml': No such file or directory",)


def test_a_postgresql_that_does_not_answer_is_told_and_the_files_are_kept(root: Path) -> None:
    path, faults = save(root, "shared", postgresql=("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1",))
    assert path.exists()
    assert faults[0].startswith("'postgresql/0.dump': ")


def test_nothing_to_read_is_no_copy(root: Path) -> None:
    with pytest.raises(BackupError, match="could be read"):
        save(root, "gone")
    assert left(root) == []


def test_a_copy_that_cannot_be_read_back_is_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "hashed", lambda *args: "")
    with pytest.raises(BackupError, match="cannot be read back"):
        save(root, "shared")
    assert left(root) == []


def test_a_copy_whose_sha256_cannot_be_written_is_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        save(root, "shared")
    assert left(root) == []
