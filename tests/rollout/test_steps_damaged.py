"""A rollback brings the service back whatever the release did to what is rolled back: database, link, stop command."""

import json
import resource
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout.archive import reader
from rollout.archive.dump import row_counts
from rollout.archive.errors import BackupError
from rollout.intent import Intent, Outcome
from rollout.steps import backup, stop, undo
from rollout.steps.frame import Frame, StepFailed
from tests.rollout.damaged_world import (
    DAMAGE,
    DATABASE,
    NEW,
    OLD,
    a_pipe_in_the_configuration,
    folder,
    garbage,
    intent,
    no_current,
    no_stop,
    no_undo_folder,
    rolled_back,
    root_of,
)

__all__ = ["folder", "intent"]
HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_restore_goes_through_and_the_proof_is_equal(
    intent: Intent, folder: Frame, damage: Callable[[Intent], None]
) -> None:
    damage(intent)
    ended = rolled_back(intent, folder)
    assert ended["restored"].facts["equal"]
    assert ended["start"].facts == {"live_version": "1.0.0"}
    assert row_counts(root_of(intent) / DATABASE) == {"image": 20}
    assert not list(root_of(intent).rglob(".replaced-*"))


def undone(intent: Intent, folder: Frame) -> Outcome:
    return backup.run(replace(intent, params={"undo": True}), folder)


def test_what_is_sound_is_still_copied_checked(intent: Intent, folder: Frame) -> None:
    facts = undone(intent, folder).facts
    assert "warning" not in facts
    assert reader.peek(Path(facts["path"])).kind == "undo"


def test_a_damaged_database_is_kept_byte_for_byte_with_its_side_files(intent: Intent, folder: Frame) -> None:
    garbage(intent)
    outcome = undone(intent, folder)
    with zipfile.ZipFile(outcome.facts["path"]) as archive:
        assert archive.testzip() is None
        assert archive.read(f"root/{DATABASE}") == b"garbage" * 1000
        assert archive.read(f"root/{DATABASE}-wal") == b"more of it"
        assert archive.read(f"root/{NEW}/blob") == (root_of(intent) / NEW / "blob").read_bytes()
    assert outcome.sentence.startswith("WARNING: only a raw, unchecked undo copy was kept")
    assert outcome.facts["warning"] in outcome.sentence


def test_the_manifest_of_a_raw_copy_says_what_it_is_and_why(intent: Intent, folder: Frame) -> None:
    garbage(intent)
    with zipfile.ZipFile(undone(intent, folder).facts["path"]) as archive:
        manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    assert manifest["kind"] == "undo"
    assert "dhash.sqlite3" in manifest["unchecked"]


def test_a_raw_copy_is_refused_as_a_backup(intent: Intent, folder: Frame) -> None:
    garbage(intent)
    path = Path(undone(intent, folder).facts["path"])
    assert path.name.endswith("_unchecked.zip")
    with pytest.raises(BackupError, match="raw copy of what a rollback found"):
        reader.verify(path, sha256=None, component=None, environment=None, progress=reader.quiet)


def test_without_current_the_release_that_was_live_is_kept(intent: Intent, folder: Frame) -> None:
    no_current(intent)
    with zipfile.ZipFile(undone(intent, folder).facts["path"]) as archive:
        assert f"root/{NEW}/VERSION" in archive.namelist()


def test_what_no_archive_can_hold_is_told(intent: Intent, folder: Frame) -> None:
    a_pipe_in_the_configuration(intent)
    assert "1 part(s) of it are missing or not whole: 'shared/config/pipe'" in undone(intent, folder).sentence


def test_no_copy_at_all_is_said_loudly_and_registers_nothing(intent: Intent, folder: Frame) -> None:
    no_undo_folder(intent)
    outcome = undone(intent, folder)
    assert outcome.sentence.startswith("WARNING: NO undo copy was kept")
    assert outcome.facts["path"] == ""


def test_a_copy_that_takes_the_room_of_the_restore_is_removed(
    intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "SPARE_BYTES", 2**62)
    outcome = undone(intent, folder)
    assert "It was removed again" in outcome.facts["warning"]
    assert list((Path(intent.backups) / "undo").iterdir()) == []


def test_a_copy_that_takes_too_long_is_given_up(intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "STRICT_S", 1)
    slow = undo.run(intent, folder, lambda made, frame: socket.create_server(("127.0.0.1", 0)).accept() and stop)
    assert "it took longer than 1 s" in slow.facts["warning"]


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_copy(intent: Intent, folder: Frame) -> None:
    replace(intent, params={"undo": True}).write(folder.folder)
    full = 50_000  # bytes that a file may have: less than the release that is copied

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, full))

    argv = [sys.executable, "-m", "rollout.steps.backup", str(folder.folder)]
    assert subprocess.run(argv, cwd=HOME, preexec_fn=limit, capture_output=True).returncode == 0
    outcome = Outcome.read(folder.folder)
    assert outcome is not None
    assert outcome.sentence.startswith("WARNING: NO undo copy was kept")
    assert list((Path(intent.backups) / "undo").iterdir()) == []


def stopped(intent: Intent) -> list[str]:
    return (root_of(intent) / "shared/stopped").read_text().splitlines()


def test_the_live_release_is_asked_first_and_alone_when_it_stops(intent: Intent, folder: Frame) -> None:
    assert stop.run(intent, folder).facts == {}
    assert stopped(intent) == ["0002-1.1.0 stops"]


def test_the_release_that_comes_back_stops_what_the_live_one_cannot(intent: Intent, folder: Frame) -> None:
    no_stop(intent)
    outcome = stop.run(intent, folder)
    assert stopped(intent) == ["0002-1.1.0 stops", "0001-1.0.0 stops"]
    assert outcome.sentence.startswith(f"the service is stopped. WARNING: stopped by {OLD}")


def test_a_service_that_is_down_needs_no_stop_command(intent: Intent, folder: Frame) -> None:
    no_stop(intent)
    shutil.rmtree(root_of(intent) / OLD)
    assert "no stop command worked" in stop.run(intent, folder).facts["warning"]


@pytest.fixture
def listener(intent: Intent, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold the target's port, without ever answering."""
    monkeypatch.setattr(stop, "PATIENCE_S", 0)
    monkeypatch.setattr(stop.health, "check", lambda target: "timed out")
    with socket.create_server((intent.target.host, intent.target.port)):
        yield


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("damage", [lambda intent: None, no_stop])
def test_a_process_that_still_listens_is_never_restored_under(
    intent: Intent, folder: Frame, damage: Callable[[Intent], None]
) -> None:
    damage(intent)
    with pytest.raises(StepFailed, match=r"still has a process listening.*End the process that holds the port by hand"):
        stop.run(intent, folder)
