"""A restore sees every process of this installation that lives, whether or not it gives signs of life."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from rollout import alive, boot


@pytest.fixture(autouse=True)
def var(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    """Give every test a var of its own, and let go of what it held for the life of this process."""
    settings.GR_VAR = tmp_path
    yield tmp_path
    if alive.path() in alive._held:
        os.close(alive._held.pop(alive.path()))


def test_nobody_is_in_the_way_of_a_restore_when_nobody_lives() -> None:
    with alive.alone():
        assert alive.path().exists()


def test_many_may_live_at_once_and_each_keeps_a_restore_from_beginning() -> None:
    with alive.holding():
        with alive.holding():
            pass
        with pytest.raises(alive.HeldError), alive.alone():
            raise AssertionError("somebody lives")


def test_who_lives_is_named_by_pid_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: 0)  # as if another process asked
    with alive.holding(), pytest.raises(alive.HeldError) as refused, alive.alone():
        raise AssertionError("somebody lives")
    assert re.search(rf"pid {pid} \([^)]*pytest", str(refused.value))


def test_a_holder_that_cannot_be_seen_from_here_keeps_a_restore_out_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "holders", list)
    with alive.holding(), pytest.raises(alive.HeldError, match="another container, host or account"), alive.alone():
        raise AssertionError("somebody lives")


def test_what_serves_holds_the_lock_until_its_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot.checks, "run_checks", lambda **_: [])
    boot.assert_ready()
    boot.assert_ready()
    with pytest.raises(alive.HeldError), alive.alone():
        raise AssertionError("this process serves")


def test_nothing_starts_while_a_restore_has_the_lock() -> None:
    with alive.alone(), pytest.raises(ImproperlyConfigured, match="is being restored"):
        boot.assert_ready()


@pytest.mark.parametrize("argv", [["backup_self", "/nowhere/own.zip"], ["deploy", "--component=a", "--env=b"]])
def test_no_command_acts_while_a_restore_has_the_lock(argv: list[str]) -> None:
    with alive.alone(), pytest.raises(CommandError, match="is being restored"):
        call_command(*argv)


def test_no_command_acts_after_a_restore_that_was_interrupted(var: Path) -> None:
    (var / boot.UNFINISHED).touch()
    with pytest.raises(CommandError, match="was not finished"):
        call_command("backup_self", "/nowhere/own.zip")


def test_a_place_that_takes_no_lock_stops_nobody(settings: LazySettings, caplog: pytest.LogCaptureFixture) -> None:
    settings.GR_VAR = Path("/proc/nowhere")
    with alive.holding():
        assert "a restore would not see this process" in caplog.text
