"""What a step is told and what it answers: two frozen documents in the step's folder; pure but for the two files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monitoring import storage
from rollout.target import TargetSpec

INTENT, OUTCOME, PROGRESS, OUTPUT = "intent.json", "outcome.json", "progress.json", "output.log"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """Everything a step may know; it never sees a model or the database."""

    token: str
    epoch: int
    run_kind: str
    step_kind: str
    title: str
    target: TargetSpec
    params: dict[str, Any]
    # absolute paths of this host: backups folder, scratch folder, release archive ("" when not needed)
    backups: str
    scratch: str
    archive: str = ""
    archive_sha256: str = ""
    # the backup that a rollback restores, a rehearsal starts from
    backup: str = ""
    backup_sha256: str = ""
    live_version: str = ""
    commit: str = ""

    def write(self, folder: Path) -> None:
        """Put the intent into the step's folder, durably."""
        document = {**asdict(self), "target": self.target.to_dict()}
        storage.write_atomic(folder / INTENT, json.dumps(document, indent=1, sort_keys=True).encode())

    @classmethod
    def read(cls, folder: Path) -> "Intent":
        """Return the intent that stands in a step's folder."""
        document = json.loads((folder / INTENT).read_text())
        return cls(**{**document, "target": TargetSpec.from_dict(document["target"])})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a step ended: `ok`, or `failed` (the step said no), or `errored` (it broke)."""

    result: str
    sentence: str
    facts: dict[str, Any] = field(default_factory=dict)
    # files in the step's folder that are evidence: kind of evidence -> file name
    evidence: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Say whether the step did what it was asked."""
        return self.result == "ok"

    def write(self, folder: Path) -> None:
        """Put the outcome into the step's folder, durably."""
        storage.write_atomic(folder / OUTCOME, json.dumps(asdict(self), indent=1, sort_keys=True).encode())

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """Return the outcome that stands in a step's folder, or None when there is none."""
        try:
            return cls(**json.loads((folder / OUTCOME).read_text()))
        except FileNotFoundError:
            return None
