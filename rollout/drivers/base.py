"""What every driver can do, and how it says that it could not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from rollout.target import TargetSpec

Log = Callable[[str], None]


class DriverError(RuntimeError):
    """The target could not be changed as asked; the sentence says what was found."""


@dataclass(frozen=True)
class Answer:
    """What the target says of a step that nobody saw end; `live` is the release directory, "" when not known."""

    answer: Literal["done", "not_done", "unknown"]
    live: str
    sentence: str


class Driver(Protocol):
    """A way to change a target; everything it does is idempotent, so that a step can be asked again."""

    # resumable: asking again completes it; probeable: `probe` tells what happened; opaque: a person has to look
    recovery: Literal["resumable", "probeable", "opaque"]

    def live(self, target: TargetSpec) -> str:
        """Return which release directory is live, relative to the root, or "" when none is."""
        ...

    def stage(self, target: TargetSpec, archive: Path, release_dir: str, *, log: Log) -> None:
        """Put a release beside the live one, without changing what is served."""
        ...

    def switch(self, target: TargetSpec, release_dir: str, *, log: Log) -> None:
        """Make a staged release the live one on disk; the reload is a command of the component."""
        ...

    def probe(self, target: TargetSpec, step_kind: str, params: Mapping[str, Any]) -> Answer:
        """Say whether a step's effect is there, without changing anything."""
        ...


def version_of(release_dir: str) -> str:
    """Return the version that a release directory's name ends with: "releases/0001-1.0.0" -> "1.0.0"."""
    return release_dir.rsplit("/", 1)[-1].partition("-")[2]
