"""What a step is told and what it answers: two frozen documents in the step's folder; pure but for the two files."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from monitoring import redact, storage
from rollout.target import TargetSpec

# An outcome's result when the target has seen more than the database: nothing was done.
STALE = "stale"
# A fact of a failed step that was not allowed to begin.
UNTOUCHED = "untouched"
TEXT_MAX = 4000
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
    # the other files that were signed: name, path, sha256
    evidence: list[dict[str, str]] = field(default_factory=list)
    # the backup that a rollback restores, a rehearsal starts from
    backup: str = ""
    backup_sha256: str = ""
    live_version: str = ""
    commit: str = ""
    # which run this is, also when a restored database gives its number again; whether the step changes the target
    run: str = ""
    effect: bool = False

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
            read = cls(**_storable(json.loads((folder / OUTCOME).read_text())))
            # only what is told: a path among the facts must stay one, whatever a password is
            return replace(read, sentence=redact.text(read.sentence))
        except FileNotFoundError:
            return None


def _storable(value: Any) -> Any:
    """Return a value with texts that every database takes: a component's last words may hold anything."""
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
        return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {str(_storable(key)): _storable(one) for key, one in value.items()}
    return value
