"""The fake target: a log of starts, changes and ends is all its state; three drivers that change it."""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rollout.drivers import Answer
from rollout.intent import Intent, Outcome
from rollout.steps import probe
from rollout.steps.frame import Frame, StepFailed, main
from rollout.target import TargetSpec
from tests.faults.harness import settings

LOG = "target.log"
# A command takes this long, so that deliveries find it at work.
LASTS_S = 0.02
TOKEN = re.compile(r"run(\d+)-step(\d+)-try(\d+)")
EFFECTS = ("migrate", "switch", "stop", "restore", "start")
# the step of a deploy that says no in this trial, after it changed the target
fails: dict[str, str] = {"at": ""}


@dataclass(frozen=True)
class Line:
    """One line of the target's log."""

    what: str
    run: int
    step: int
    token: str
    kind: str
    pid: int
    epoch: int

    @classmethod
    def read(cls, text: str) -> "Line":
        """Return what a line says."""
        what, token, kind, pid, epoch = text.split()
        named = TOKEN.fullmatch(token)
        run, step = (int(named[1]), int(named[2])) if named else (0, 0)
        return cls(what, run, step, token, kind, int(pid), int(epoch))


def lines() -> list[Line]:
    """Return what happened at the target, in order."""
    path = settings.WORLD / LOG
    return [Line.read(line) for line in path.read_text().splitlines()] if path.exists() else []


def note(what: str, intent: Intent) -> None:
    """Append one line in one write: the change of the target is this line."""
    descriptor = os.open(settings.WORLD / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{what} {intent.token} {intent.step_kind} {os.getpid()} {intent.epoch}\n".encode())
    os.close(descriptor)


class Fake:
    """A driver whose target is the log; what it does can be repeated, or asked about, or neither."""

    def __init__(self, recovery: Literal["resumable", "probeable", "opaque"]) -> None:
        self.recovery = recovery

    def live(self, target: TargetSpec) -> str:
        """Return the release that is live, as far as anybody asks for it here."""
        return "releases/0001-1.0.0"

    def stage(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: no trial stages."""

    switch = stage

    def act(self, intent: Intent) -> None:
        """Change the target; a resumable driver sees that it did so already."""
        if self.recovery == "resumable" and is_changed(intent.step_kind):
            return
        note("change", intent)

    def probe(self, target: TargetSpec, step_kind: str, params: Mapping[str, Any]) -> Answer:
        """Say whether the target was changed; nobody knows of an opaque one."""
        if self.recovery == "opaque":
            return Answer("unknown", "", "it cannot be asked")
        return Answer("done" if is_changed(step_kind) else "not_done", "", f"{step_kind} was looked for")


def is_changed(kind: str) -> bool:
    """Say whether a step of a kind changed the target; no trial has two of a kind that should."""
    return any(line.what == "change" and line.kind == kind for line in lines())


def command(kind: str) -> None:
    """Stand for `python -m rollout.steps.<kind> folder`: the real frame around a fake act, or the real probe."""
    main(probe.run if kind == "probe" else act)


def act(intent: Intent, frame: Frame) -> Outcome:
    """Do what the step says, between a start and an end in the target's log."""
    with _alone(intent):
        note("start", intent)
        time.sleep(LASTS_S / 2)
        if intent.step_kind in EFFECTS:
            Fake(intent.target.driver).act(intent)  # type: ignore[arg-type]
        time.sleep(LASTS_S / 2)
        note("end", intent)
    if intent.run_kind == "deploy" and intent.step_kind == fails["at"]:
        raise StepFailed("the reload said no")
    return _good(intent)


@contextlib.contextmanager
def _alone(intent: Intent) -> Iterator[None]:
    """See whether another command is at the target: the kernel frees this lock with the process."""
    descriptor = os.open(settings.WORLD / "at-the-target", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("overlap", intent)
    yield
    os.close(descriptor)


def _good(intent: Intent) -> Outcome:
    facts: dict[str, Any] = {}
    if intent.step_kind == "backup":
        facts = {
            "path": str(Path(intent.backups) / f"{intent.token}.zip"),
            "sha256": "b" * 64,
            "size": 10,
            "members": 3,
            "rows": {},
            "release_version": intent.live_version,
            "kind": "undo" if intent.params.get("undo") else "backup",
        }
    elif intent.step_kind == "dry_run":
        facts = {"migrations": ["0002_more.sql"]}
    elif intent.step_kind in ("switch", "start"):
        facts = {"live_version": intent.params.get("version", "1.0.0")}
    return Outcome(result="ok", sentence=f"{intent.step_kind} done", facts=facts)
