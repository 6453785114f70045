"""A target refuses who knows less than it has seen: an older epoch, another run of the same epoch, a second start."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring import storage
from rollout import component
from rollout.drivers import fence
from rollout.intent import Intent, Outcome
from rollout.steps import frame
from rollout.steps.frame import Frame
from tests import factories

RUN, OTHER = "run7@2026-11-23T12:00:00+00:00", "run7@2026-11-24T12:00:00+00:00"


def enter(root: Path, *, epoch: int = 5, run: str = RUN, token: str = "run7-step5-try1") -> None:
    fence.enter(root, epoch=epoch, run=run, token=token)


def test_a_target_without_a_fence_has_seen_nothing(tmp_path: Path) -> None:
    assert fence.read(tmp_path) == fence.Fence()


def test_steps_of_one_run_pass_one_after_another(tmp_path: Path) -> None:
    enter(tmp_path)
    enter(tmp_path, token="run7-step6-try1")
    assert fence.read(tmp_path).tokens == ("run7-step5-try1", "run7-step6-try1")


def test_a_newer_epoch_replaces_what_was_seen(tmp_path: Path) -> None:
    enter(tmp_path)
    enter(tmp_path, epoch=6, run="run8@later", token="run8-step5-try1")
    assert fence.read(tmp_path) == fence.Fence(epoch=6, run="run8@later", tokens=("run8-step5-try1",))


STALE = {
    "an older epoch": {"epoch": 4},
    "a second start": {},
    "the same epoch of another run": {"token": "run8-step1-try1", "run": OTHER},
}


@pytest.mark.parametrize("case", sorted(STALE))
def test_who_knows_less_is_refused_and_leaves_no_trace(tmp_path: Path, case: str) -> None:
    enter(tmp_path)
    before = (tmp_path / fence.FILE).read_bytes()
    with pytest.raises(fence.StaleError, match="the target has seen"):
        enter(tmp_path, **STALE[case])  # type: ignore[arg-type]
    assert (tmp_path / fence.FILE).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 1}', '{"epoch": "x", "run": "", "tokens": []}'])
def test_a_fence_that_cannot_be_read_is_never_guessed(tmp_path: Path, text: str) -> None:
    (tmp_path / fence.FILE).write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        enter(tmp_path)


@pytest.fixture
def intent(tmp_path: Path) -> Intent:
    """Return the intent of a step that changes a target on disk."""
    path = factories.write_component(tmp_path)
    gates = (tmp_path / "quality-gates-config.json").read_text()
    target = component.parse(path.read_text(), gates_text=gates, base=tmp_path).target("production")
    return Intent(
        token="run7-step5-try1",
        epoch=5,
        run_kind="deploy",
        step_kind="switch",
        title="Switch",
        target=target,
        params={},
        backups="",
        scratch="",
        run=RUN,
        effect=True,
    )


def run_step(intent: Intent, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, list[str]]:
    """Run a step that notes that it worked; return its outcome, and the notes."""
    folder.mkdir()
    intent.write(folder)
    worked: list[str] = []

    def work(told: Intent, _: Frame) -> Outcome:
        worked.append(told.token)
        return Outcome(result="ok", sentence="fine")

    monkeypatch.setattr("sys.argv", ["step", str(folder)])
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    with pytest.raises(SystemExit):
        frame.main(work)
    outcome = Outcome.read(folder)
    assert outcome is not None
    return outcome, worked


def test_a_step_of_effect_passes_the_fence_before_it_works(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, worked = run_step(intent, tmp_path / "step", monkeypatch)
    assert (outcome.result, worked) == ("ok", ["run7-step5-try1"])
    assert fence.read(intent.target.root_path).epoch == 5


def test_a_step_that_the_target_has_seen_start_does_nothing(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(intent, tmp_path / "first", monkeypatch)
    outcome, worked = run_step(intent, tmp_path / "second", monkeypatch)
    assert (outcome.result, worked) == ("stale", [])
    assert "The database has lost something that this target has seen" in outcome.sentence


def test_a_step_without_effect_passes_no_fence(intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        outcome, _ = run_step(replace(intent, effect=False), tmp_path / name, monkeypatch)
        assert outcome.ok
    assert not (intent.target.root_path / fence.FILE).exists()


@pytest.mark.parametrize(("kind", "effect"), [("stage", False), ("migrate", True), ("switch", True)])
def test_bytes_that_are_not_those_that_were_signed_are_found_before_the_effect(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, effect: bool
) -> None:
    (tmp_path / "archive.zip").write_bytes(b"other bytes")
    changed = replace(
        intent, step_kind=kind, effect=effect, archive=str(tmp_path / "archive.zip"), archive_sha256="a" * 64
    )
    outcome, worked = run_step(changed, tmp_path / "step", monkeypatch)
    assert (outcome.result, worked) == ("failed", [])
    assert "the release archive's bytes changed" in outcome.sentence
    assert outcome.facts == {"untouched": True}
    assert not (intent.target.root_path / fence.FILE).exists()


@pytest.mark.parametrize("slow", ["sha256_of", "write_atomic"])
def test_a_step_that_is_ended_before_it_works_says_that_nothing_was_done(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    real = storage.write_atomic

    def ended(path: Path, content: bytes = b"") -> None:
        if path.name in (fence.FILE, "archive.zip"):
            raise SystemExit(128 + signal.SIGTERM)
        real(path, content)

    archive = tmp_path / "archive.zip"
    archive.write_bytes(b"bytes")
    told = replace(intent, archive=str(archive), archive_sha256=storage.sha256_of(archive))
    monkeypatch.setattr(storage, slow, ended)
    outcome, worked = run_step(told, tmp_path / "step", monkeypatch)
    assert (outcome.result, outcome.facts, worked) == ("failed", {"untouched": True}, [])
    assert outcome.sentence == "Ended before it began, by an abort or after its time-out. Nothing was done."


LARGE = {"migrate": ("ok", True), "stage": ("failed", False)}


@pytest.mark.parametrize("kind", sorted(LARGE))
def test_a_large_backup_is_hashed_whole_where_there_is_time(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    backup = tmp_path / "backup.zip"
    backup.write_bytes(b"other bytes")
    monkeypatch.setattr(frame, "SOON_HASHED", 5)
    told = replace(intent, step_kind=kind, effect=kind != "stage", backup=str(backup), backup_sha256="a" * 64)
    outcome, worked = run_step(told, tmp_path / "step", monkeypatch)
    assert (outcome.result, bool(worked)) == LARGE[kind]


def test_a_small_backup_is_hashed_again_before_the_first_effect(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = tmp_path / "backup.zip"
    backup.write_bytes(b"other bytes")
    told = replace(intent, backup=str(backup), backup_sha256="a" * 64)
    outcome, worked = run_step(told, tmp_path / "step", monkeypatch)
    assert (outcome.facts, worked) == ({"untouched": True}, [])
    assert "the backup's bytes changed" in outcome.sentence


def test_a_target_that_cannot_remember_is_not_changed(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(intent, target=replace(intent.target, root=str(tmp_path / "gone")))
    outcome, worked = run_step(gone, tmp_path / "step", monkeypatch)
    assert (outcome.result, outcome.facts, worked) == ("failed", {"untouched": True}, [])


def test_a_rollback_makes_the_root_that_is_gone(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(intent, run_kind="rollback", target=replace(intent.target, root=str(tmp_path / "gone" / "root")))
    outcome, _ = run_step(gone, tmp_path / "step", monkeypatch)
    assert outcome.ok
    assert fence.read(tmp_path / "gone" / "root").epoch == 5


@pytest.mark.parametrize(("kind", "result"), [("rollback", "ok"), ("deploy", "failed")])
def test_only_a_rollback_sets_a_damaged_fence_aside(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, result: str
) -> None:
    root = intent.target.root_path
    (root / fence.FILE).write_bytes(b"\xff{")
    outcome, _ = run_step(replace(intent, run_kind=kind), tmp_path / "step", monkeypatch)
    assert outcome.result == result
    assert (root / f"{fence.FILE}.damaged").exists() == (kind == "rollback")


def test_a_rollback_that_knows_less_is_refused_all_the_same(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(intent.target.root_path, epoch=9)
    outcome, worked = run_step(replace(intent, run_kind="rollback"), tmp_path / "step", monkeypatch)
    assert (outcome.result, worked) == ("stale", [])


@pytest.mark.parametrize(("kind", "result"), [("rollback", "ok"), ("deploy", "failed")])
def test_on_a_full_disk_a_rollback_passes_with_the_reserve(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, result: str
) -> None:
    ballast = tmp_path / "ballast"
    ballast.touch()
    monkeypatch.setenv("GR_BALLAST", str(ballast))
    real = storage.write_atomic

    def full(path: Path, content: bytes) -> None:
        if ballast.exists() and path.name == fence.FILE:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(storage, "write_atomic", full)
    outcome, worked = run_step(replace(intent, run_kind=kind), tmp_path / "step", monkeypatch)
    assert (outcome.result, bool(worked)) == (result, result == "ok")


def test_an_outcome_finds_room_when_the_reserve_is_given_up(
    intent: Intent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ballast = tmp_path / "ballast"
    ballast.touch()
    monkeypatch.setenv("GR_BALLAST", str(ballast))
    write = Outcome.write

    def full(self: Outcome, folder: Path) -> None:
        if ballast.exists():
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Outcome, "write", full)
    outcome, _ = run_step(intent, tmp_path / "step", monkeypatch)
    assert outcome.ok


def test_the_fence_is_a_plain_document(tmp_path: Path) -> None:
    enter(tmp_path)
    assert json.loads((tmp_path / fence.FILE).read_text())["epoch"] == 5
