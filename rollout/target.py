"""How one target is changed: the part of a configuration that a step's intent carries; pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from monitoring.canonical import number

COMMANDS = ("start", "stop", "reload", "migrate", "smoke", "logging", "golden", "traffic")
REQUIRED_COMMANDS = ("start", "stop", "reload", "smoke", "logging")
DRIVERS = ("release_dir",)
CURRENT = "current"


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """A component in an environment, with everything a step needs to act on it; paths are absolute."""

    component: str
    environment: str
    driver: str
    root: str
    host: str
    port: int
    commands: dict[str, tuple[str, ...]]
    placeholders: dict[str, str]
    health_path: str
    health_timeout_s: int | str
    directories: tuple[str, ...]
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]
    database: str
    migrate: str
    minimum_free_bytes: int

    @property
    def name(self) -> str:
        """Return the target's name as pages and lock files write it."""
        return f"{self.component}/{self.environment}"

    @property
    def base_url(self) -> str:
        """Return the URL that the target answers on, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def root_path(self) -> Path:
        """Return the environment's root directory."""
        return Path(self.root)

    def at(self, *, root: Path, port: int) -> "TargetSpec":
        """Return the same target in another place: a rehearsal in a scratch root, on a spare port."""
        return replace(self, root=str(root), port=port)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that canonical JSON can hold."""
        plain = asdict(self)
        plain["commands"] = {name: list(argv) for name, argv in sorted(self.commands.items())}
        for key in ("directories", "sqlite", "postgresql"):
            plain[key] = list(plain[key])
        plain["health_timeout_s"] = number(self.health_timeout_s)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TargetSpec":
        """Build the spec that `to_dict` wrote."""
        lists = {key: tuple(data[key]) for key in ("directories", "sqlite", "postgresql")}
        commands = {name: tuple(argv) for name, argv in data["commands"].items()}
        return cls(**{**data, **lists, "commands": commands})
