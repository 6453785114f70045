"""A reserve stands on each disk that an outcome is written to, and each is asked for before anything begins."""

import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.conf import LazySettings

from rollout import ballast, commands, detached, orphans, runner
from rollout.steps import frame
from tests.factories import NOW


@pytest.fixture(autouse=True)
def two_disks(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let GR_RUN_DIR be a file system of its own, with small reserves; return its own and that of GR_VAR."""
    settings.GR_VAR, settings.GR_RUN_DIR = tmp_path / "var", tmp_path / "run"
    for place in (settings.GR_VAR, settings.GR_RUN_DIR):
        place.mkdir()
    monkeypatch.setattr(ballast, "_device", lambda folder: folder.name)
    monkeypatch.setattr(ballast, "SIZE", 4096)
    return settings.GR_RUN_DIR / "ballast", settings.GR_VAR / "ballast"


def fill(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    """Let the disk of one reserve have no room."""
    monkeypatch.setattr(ballast, "_free", lambda place: 0 if place == full else 1 << 40)


def test_one_stands_on_each_disk(two_disks: tuple[Path, Path]) -> None:
    assert ballast.restore()
    assert [place.stat().st_size for place in two_disks] == [4096, 4096]
    assert ballast.stands()


def test_one_is_enough_where_the_runner_files_share_the_disk(monkeypatch: pytest.MonkeyPatch, two_disks) -> None:
    monkeypatch.setattr(ballast, "_device", lambda folder: 1)
    assert ballast.paths() == (two_disks[1],)


def test_real_directories_of_one_disk_share_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    assert ballast._device(tmp_path / "not" / "made" / "yet") == tmp_path.stat().st_dev


@pytest.mark.parametrize("full", [0, 1])
def test_nothing_begins_while_either_disk_is_full_and_its_reserve_gone(
    full: int, two_disks: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch, two_disks[full])
    assert not ballast.restore()
    assert f"The disk of {two_disks[full].parent} is full" in ballast.refusal()


def test_all_are_given_up_since_nobody_knows_which_disk_refused(two_disks: tuple[Path, Path]) -> None:
    ballast.restore()
    assert ballast.release() and not ballast.release()
    assert not any(place.exists() for place in two_disks)


def test_a_runner_gives_up_that_of_its_own_disk_first_and_the_other_when_that_is_not_enough(
    two_disks: tuple[Path, Path],
) -> None:
    ballast.restore()
    told = commands.environment()[runner.BALLAST]
    left = []
    while detached.free_ballast(told):
        left.append([place.exists() for place in two_disks])
    assert left == [[False, True], [False, False]]


def test_a_runner_without_any_has_none_to_give_up() -> None:
    assert not detached.free_ballast("")


def test_one_that_was_half_taken_by_a_killed_process_is_swept_on_this_host(two_disks: tuple[Path, Path]) -> None:
    half = two_disks[0].with_name(".ballast-1")
    half.touch()
    assert orphans.sweep_host(NOW) == 0
    os.utime(half, ((NOW - timedelta(days=2)).timestamp(),) * 2)
    assert orphans.sweep_host(NOW) == 1 and not half.exists()


def test_a_step_gives_up_one_after_the_other_until_its_write_succeeds(
    two_disks: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ballast.restore()
    monkeypatch.setenv(detached.BALLAST, ballast.for_runner())
    full = OSError(28, "No space left on device")
    write = Mock(side_effect=[full, full, None])
    frame._with_reserve(write)
    assert (write.call_count, [place.exists() for place in two_disks]) == (3, [False, False])
