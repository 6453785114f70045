"""Each step reads an intent and leaves an outcome: ok, a no in a sentence, or broken."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitoring import storage
from rollout import component, runner
from rollout.drivers.ports import spare_port
from rollout.intent import Intent, Outcome
from rollout.steps import backup, check, frame, health, migrate, preflight, restore, stage, start, stop, switch, verify
from rollout.steps.frame import Frame, StepFailed
from tests import factories
from tests.rollout.test_drivers import RELEASE, archive

__all__ = ["archive"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every health check answer OK at once."""
    monkeypatch.setattr(health, "check", lambda target: "")
    monkeypatch.setattr(health, "PAUSE_S", 0)


@pytest.fixture
def intent(tmp_path: Path) -> Intent:
    """Return an intent for a target on disk whose live release is 1.0.0."""
    path = factories.write_component(tmp_path)
    gates = (tmp_path / "quality-gates-config.json").read_text()
    spec = component.parse(path.read_text(), gates_text=gates, base=tmp_path).target("production")
    (spec.root_path / "releases/0001-1.0.0/VERSION").write_text("1.0.0\n")
    (spec.root_path / "shared/config").mkdir(parents=True)
    return Intent(
        token="run1-step1-try1",
        epoch=1,
        run_kind="deploy",
        step_kind="preflight",
        title="a step",
        target=replace(spec, sqlite=()),
        params={},
        backups=str(tmp_path / "backups"),
        scratch=str(tmp_path / "scratch"),
        live_version="1.0.0",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Frame:
    """Return the frame of a step's folder."""
    (tmp_path / "step").mkdir()
    return Frame(tmp_path / "step")


def with_commands(intent: Intent, **commands: tuple[str, ...]) -> Intent:
    return replace(intent, target=replace(intent.target, commands={**intent.target.commands, **commands}))


def test_an_intent_survives_the_way_through_its_file(intent: Intent, folder: Frame) -> None:
    intent.write(folder.folder)
    assert Intent.read(folder.folder) == intent


def test_an_outcome_survives_the_way_through_its_file(folder: Frame) -> None:
    outcome = Outcome(result="ok", sentence="done", facts={"a": 1}, evidence={"golden": "x.log"})
    outcome.write(folder.folder)
    assert Outcome.read(folder.folder) == outcome


def test_no_outcome_is_none(folder: Frame) -> None:
    assert Outcome.read(folder.folder) is None


def test_a_preflight_tells_what_is_live(intent: Intent, folder: Frame, well: None) -> None:
    assert preflight.run(intent, folder).facts["live_version"] == "1.0.0"


def test_a_preflight_refuses_a_target_that_is_down(intent: Intent, folder: Frame) -> None:
    closed = replace(intent, target=replace(intent.target, port=9))
    with pytest.raises(StepFailed, match=r"is not well: .*Nothing was changed"):
        preflight.run(closed, folder)


def test_a_preflight_refuses_what_was_deployed_past_us(intent: Intent, folder: Frame, well: None) -> None:
    with pytest.raises(StepFailed, match=r"runs 1\.0\.0, but 1\.0\.9 was expected"):
        preflight.run(replace(intent, live_version="1.0.9"), folder)


def test_a_preflight_refuses_changed_bytes_of_the_archive(
    intent: Intent, folder: Frame, well: None, archive: Path
) -> None:
    with pytest.raises(StepFailed, match="bytes changed"):
        preflight.run(replace(intent, archive=str(archive), archive_sha256="0" * 64), folder)


def test_a_preflight_accepts_the_signed_bytes(intent: Intent, folder: Frame, well: None, archive: Path) -> None:
    signed = replace(intent, archive=str(archive), archive_sha256=storage.sha256_of(archive))
    assert preflight.run(signed, folder).ok


def test_a_preflight_refuses_a_full_disk(intent: Intent, folder: Frame, well: None) -> None:
    with pytest.raises(StepFailed, match="bytes are free"):
        preflight.run(replace(intent, target=replace(intent.target, minimum_free_bytes=2**62)), folder)


def staged(intent: Intent, folder: Frame, archive: Path) -> Intent:
    made = replace(intent, archive=str(archive), params={"release_dir": RELEASE, "version": "1.1.0"})
    stage.run(made, folder)
    return made


def test_a_staged_release_is_switched_to(intent: Intent, folder: Frame, archive: Path, well: None) -> None:
    made = staged(intent, folder, archive)
    assert switch.run(made, folder).facts == {"live_version": "1.1.0"}


def test_a_reload_that_fails_fails_the_switch(intent: Intent, folder: Frame, archive: Path, well: None) -> None:
    made = with_commands(staged(intent, folder, archive), reload=("sh", "-c", "echo no such service; exit 1"))
    with pytest.raises(StepFailed, match="reload exited with 1: no such service"):
        switch.run(made, folder)


def test_a_migration_tells_its_last_line(intent: Intent, folder: Frame, archive: Path) -> None:
    made = with_commands(staged(intent, folder, archive), migrate=("echo", "applied 0002"))
    assert migrate.run(made, folder).sentence == "migrated: applied 0002"


def test_a_stop_that_leaves_something_answering_fails(intent: Intent, folder: Frame, well: None) -> None:
    with pytest.raises(StepFailed, match="still answers after stop"):
        stop.run(intent, folder)


def test_a_stop_is_done_when_nothing_answers(intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "check", lambda target: "connection refused")
    target = replace(intent.target, port=spare_port("127.0.0.1"))
    assert stop.run(replace(intent, target=target), folder).sentence == "the service is stopped"


def test_a_start_tells_which_version_it_started(intent: Intent, folder: Frame) -> None:
    assert start.run(intent, folder).facts == {"live_version": "1.0.0"}


def test_a_check_of_another_version_than_the_live_one_fails(intent: Intent, folder: Frame) -> None:
    params = {"command": "smoke", "on": "live", "version": "1.1.0"}
    with pytest.raises(StepFailed, match=r"1\.0\.0 is live, but 1\.1\.0 was to be checked"):
        check.run(replace(intent, params=params), folder)


def test_a_check_keeps_what_was_printed_as_evidence(intent: Intent, folder: Frame) -> None:
    made = with_commands(intent, smoke=("echo", "3 tests passed"))
    outcome = check.run(replace(made, params={"command": "smoke", "on": "live", "version": "1.0.0"}), folder)
    assert "3 tests passed" in (folder.folder / outcome.evidence["postdeploy_smoketests"]).read_text()


def test_three_checks_in_a_row_are_wanted(intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["", "", "answered 500", "", "", ""])
    monkeypatch.setattr(health, "check", lambda target: next(answers))
    monkeypatch.setattr(health, "PAUSE_S", 0)
    health.require_consecutive(intent.target, folder, patience_s=10)
    assert list(answers) == []


def test_checks_that_never_come_end_with_patience(
    intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "check", lambda target: "answered 500")
    monkeypatch.setattr(health, "PAUSE_S", 0)
    with pytest.raises(StepFailed, match="did not answer 3 checks in a row within 0 s: answered 500"):
        health.require_consecutive(intent.target, folder, patience_s=0)


def backed_up(intent: Intent, folder: Frame) -> Intent:
    facts = backup.run(intent, folder).facts
    return replace(intent, backup=facts["path"], backup_sha256=facts["sha256"])


def test_a_backup_is_restored_to_the_byte_and_proved(intent: Intent, folder: Frame) -> None:
    made = backed_up(intent, folder)
    (intent.target.root_path / "releases/0001-1.0.0/VERSION").write_text("spoilt")
    assert restore.run(made, folder).ok
    assert verify.run(replace(made, params={"what": "restored"}), folder).facts["equal"]
    assert (intent.target.root_path / "current/VERSION").read_text() == "1.0.0\n"


def test_a_file_that_changes_after_the_restore_fails_the_proof(intent: Intent, folder: Frame) -> None:
    made = backed_up(intent, folder)
    restore.run(made, folder)
    (intent.target.root_path / "releases/0001-1.0.0/VERSION").write_text("spoilt")
    with pytest.raises(StepFailed, match="differ from the backup"):
        verify.run(replace(made, params={"what": "restored"}), folder)


def test_an_undo_copy_is_told_as_one(intent: Intent, folder: Frame) -> None:
    assert backup.run(replace(intent, params={"undo": True}), folder).facts["kind"] == "undo"


ENDS: dict[str, tuple[Callable[..., Any], int, str]] = {
    "well": (lambda intent, frame: Outcome(result="ok", sentence="fine"), 0, "ok"),
    "with a no": (lambda intent, frame: stop_with(StepFailed("not now")), 1, "failed"),
    "broken": (lambda intent, frame: stop_with(KeyError("x")), 2, "errored"),
}


def stop_with(error: Exception) -> Outcome:
    raise error


@pytest.mark.parametrize("case", sorted(ENDS))
def test_every_step_leaves_an_outcome_and_an_exit_code(
    intent: Intent, folder: Frame, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    work, code, result = ENDS[case]
    intent.write(folder.folder)
    monkeypatch.setattr(sys, "argv", ["step", str(folder.folder)])
    monkeypatch.setattr(signal, "signal", lambda *args: None)
    with pytest.raises(SystemExit) as ended:
        frame.main(work)
    left = Outcome.read(folder.folder)
    assert (ended.value.code, left and left.result) == (code, result)


@pytest.mark.slow
def test_a_step_that_is_ended_unwinds(intent: Intent, folder: Frame) -> None:
    intent.write(folder.folder)
    code = (
        "import time, pathlib\nfrom rollout.steps import frame\n"
        "def work(intent, made):\n"
        "    try:\n        (made.folder / 'began').touch(); time.sleep(60)\n"
        "    finally:\n        (made.folder / 'tidied').touch()\n"
        "frame.main(work)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder.folder)], cwd=ROOT)
    while not (folder.folder / "began").exists():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM
    assert (folder.folder / "tidied").exists()


@pytest.mark.slow
def test_a_real_step_runs_under_the_real_runner(intent: Intent, folder: Frame, tmp_path: Path) -> None:
    replace(intent, step_kind="backup").write(folder.folder)
    argv = [sys.executable, "-m", "rollout.steps.backup", str(folder.folder)]
    with runner.lock(tmp_path / "t.lock") as lock:
        lock.start(folder.folder, argv, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, timeout_s=60)
    while runner.is_held(tmp_path / "t.lock"):
        time.sleep(0.02)
    outcome = Outcome.read(folder.folder)
    assert outcome is not None
    assert (outcome.result, (runner.read_exit(folder.folder) or {})["code"]) == ("ok", 0)
