"""What the service is told: the GR_* environment, the release's VERSION and shared/config/dhash.json."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

RELEASE_DIR = Path(__file__).resolve().parents[1]

# Whose an image is: a smoke test's rows are deleted again and count in no metric.
LIVE, SMOKE = "live", "smoke"


class SettingsError(Exception):
    """The environment or the configuration file is not usable; the message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a process of this release needs to know; made once at its start."""

    version: str
    environment: str
    shared: Path
    host: str
    port: int
    metrics_span_s: float = 300.0
    observations_keep_s: float = 3600.0
    confident_distance: int = 4
    queue_distance: int = 10
    max_body_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000
    # Settings of other releases stay here, so that one file serves the release before and the one after.
    others: dict[str, float] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        """Return the path of the environment's SQLite database."""
        return self.shared / "dhash.sqlite3"

    @property
    def log_file(self) -> Path:
        """Return the path of the structured log (JSON lines)."""
        return self.shared / "log" / "dhash.log"

    @property
    def base_url(self) -> str:
        """Return the address of the running service."""
        return os.environ.get("GR_BASE_URL") or f"http://{self.host}:{self.port}"


CONFIGURABLE = {
    "metrics_span_s": float,
    "observations_keep_s": float,
    "confident_distance": int,
    "queue_distance": int,
    "max_body_bytes": int,
    "max_pixels": int,
}


def load() -> Settings:
    """Return the settings of this process; raise SettingsError on a missing variable or a bad file."""
    shared = Path(_required("GR_SHARED"))
    port = _required("GR_PORT")
    if not port.isdigit():
        raise SettingsError(f"GR_PORT must be a port number, not {port!r}")
    known, others = _configuration(shared / "config" / "dhash.json")
    return Settings(
        version=version_of(RELEASE_DIR),
        environment=_required("GR_ENVIRONMENT"),
        shared=shared,
        host=os.environ.get("GR_HOST", "127.0.0.1"),
        port=int(port),
        others=others,
        **known,
    )


def version_of(release_dir: Path) -> str:
    """Return the version that a release directory's VERSION file names."""
    try:
        return (release_dir / "VERSION").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{release_dir} is no release directory: {error}") from error


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"the environment variable {name} is not set; a rollout sets the GR_* variables")
    return value


def _configuration(path: Path) -> tuple[dict, dict[str, float]]:
    if not path.exists():
        return {}, {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: expected one JSON object, found {type(found).__name__}")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise SettingsError(f"{path}: {name} must be a number above 0, not {value!r}")
    known = {name: kind(found[name]) for name, kind in CONFIGURABLE.items() if name in found}
    return known, {name: float(value) for name, value in found.items() if name not in CONFIGURABLE}
