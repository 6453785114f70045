"""A runner that starts no process: it remembers what it was asked, and a test says how each command ended."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rollout import engine, runner
from rollout.intent import Intent, Outcome
from rollout.models import Run

RUNNING = "RUNNING"


class FakeRunner:
    """Stands in for `rollout.runner`; one command a lock, as the real one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[Path] = []
        self.running: dict[Path, Path] = {}  # lock file -> folder of the step that holds it
        self.held_by_others: set[Path] = set()
        self.ended: dict[Path, dict[str, Any]] = {}
        self.cancelled: set[Path] = set()
        self.orphaned: set[Path] = set()
        self.refuse_start = False
        self.age = 0.0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the functions that the engine calls."""
        for name in ("lock", "is_held", "is_alive", "read_exit", "was_started", "cancel", "age_s"):
            monkeypatch.setattr(runner, name, getattr(self, name))

    @contextlib.contextmanager
    def lock(self, path: Path) -> Iterator["_Lock"]:
        """Hold a lock file, or raise BusyError."""
        if self.is_held(path):
            raise runner.BusyError(f"{path.name} is held")
        yield _Lock(self, path)

    def is_held(self, path: Path) -> bool:
        """Say whether a command, or another process, holds the lock."""
        return path in self.running or path in self.held_by_others

    def is_alive(self, folder: Path) -> bool:
        """Say whether a runner still runs; one that was lost does not, though its command may hold the lock."""
        return folder in self.running.values() and folder not in self.orphaned

    def read_exit(self, folder: Path) -> dict[str, Any] | None:
        """Return how a command ended."""
        return self.ended.get(folder)

    def was_started(self, folder: Path) -> bool:
        """Say whether the runner came as far as to start the command."""
        return folder in self.started

    def age_s(self, folder: Path) -> float:
        """Return how long ago a command was started."""
        return self.age

    def cancel(self, folder: Path) -> None:
        """End a command as the real runner does when it is asked to."""
        self.cancelled.add(folder)

    @property
    def current(self) -> Path:
        """Return the folder of the command that runs."""
        (folder,) = self.running.values()
        return folder

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of the steps that were started, in order."""
        return [Intent.read(folder).step_kind for folder in self.started]

    def finish(self, outcome: Outcome | None, *, code: int | None = None, **ended: Any) -> None:
        """End the command that runs."""
        folder = self.current
        if outcome is not None:
            outcome.write(folder)
        default = 0 if outcome is not None and outcome.ok else 1
        self.ended[folder] = {"code": default if code is None else code, **ended}
        self.release()

    def lose(self) -> None:
        """Let the runner and its command vanish without a word."""
        self.release()

    def orphan(self) -> None:
        """Let the runner vanish while its command runs on and holds the lock."""
        self.orphaned.add(self.current)

    def release(self) -> None:
        """Free the lock."""
        self.running.clear()

    def end_cancelled(self) -> None:
        """End the command that runs because it was cancelled."""
        assert self.current in self.cancelled
        self.finish(None, code=-15, cancelled=True)

    def succeed(self) -> None:
        """End the command that runs as a real step would that did what it was asked."""
        self.finish(self.good_outcome(Intent.read(self.current)))

    def fail(self, sentence: str = "it said no") -> None:
        """End the command that runs with a no."""
        self.finish(Outcome(result="failed", sentence=sentence))

    def good_outcome(self, intent: Intent) -> Outcome:
        """Return what a step of this kind leaves when it went well."""
        folder = self.current
        facts: dict[str, Any] = {}
        evidence: dict[str, str] = {}
        if intent.step_kind == "backup":
            kind = "undo" if intent.params.get("undo") else "backup"
            facts = {
                "path": str(self.root / f"{intent.token}.zip"),
                "sha256": "b" * 64,
                "size": 10,
                "members": 3,
                "rows": {},
                "release_version": intent.live_version,
                "kind": kind,
            }
        elif intent.step_kind == "rehearse":
            facts = {"rehearsal_s": "1.5"}
        elif intent.step_kind == "dry_run" and intent.params["what"] == "migrate":
            facts = {"migrations": ["0002_more.sql"]}
        elif intent.step_kind in ("switch", "start"):
            facts = {"live_version": intent.params.get("version", "1.0.0")}
        elif intent.step_kind == "restore":
            (folder / "restore.log").write_text(f"restored {intent.token}\n")
            evidence = {"restore_log": "restore.log"}
        return Outcome(result="ok", sentence=f"{intent.step_kind} done", facts=facts, evidence=evidence)


class _Lock:
    def __init__(self, fake: FakeRunner, path: Path) -> None:
        self.fake, self.path = fake, path

    def start(self, folder: Path, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: int) -> None:
        """Remember what was asked."""
        if self.fake.refuse_start:
            raise OSError("no process can be started")
        self.fake.started.append(folder)
        self.fake.running[self.path] = folder


def drive(run: Run, fake: FakeRunner, *, fail_at: str = "", stop_at: str = "", limit: int = 40) -> Run:
    """Advance a run with good outcomes; end the step `fail_at` with a no, return while `stop_at` (or a watch) runs.

    A step is named by its kind, or "kind:what" ("verify:restored").
    """
    for _ in range(limit):
        engine.advance(run.pk)
        run.refresh_from_db()
        if not fake.running:
            if run.state != RUNNING or run.steps.filter(kind="watch", state=RUNNING).exists():
                return run
            continue
        intent = Intent.read(fake.current)
        names = {intent.step_kind, f"{intent.step_kind}:{intent.params.get('what', '')}"}
        if stop_at in names:
            return run
        if fail_at in names:
            fake.fail()
        else:
            fake.succeed()
    raise AssertionError(f"the run does not end: {run.state}, {list(run.steps.values_list('kind', 'state'))}")
