"""How one release is started under gunicorn: argv, working directory and environment, written down as a file."""

import json
import os
import sys
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from dhash import processes, settings

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
WORKERS = 2
THREADS = 8
GRACEFUL_S = 8


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that a start of the service consists of."""

    id: str
    version: str
    argv: list[str]
    cwd: str
    env: dict[str, str]

    def save(self, path: Path) -> None:
        """Write the launch where the running master's `pre_exec` hook finds it, whole or not at all."""
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        scratch.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        scratch.replace(path)


def load(path: Path) -> Launch:
    """Return a saved launch; raise OSError or ValueError when there is none."""
    return Launch(**json.loads(path.read_text(encoding="utf-8")))


def prepare(configured: settings.Settings, root: Path, release_dir: Path) -> Launch:
    """Return the launch of a release directory; its path is real: a switch of `current` changes nothing."""
    launch_id = uuid.uuid4().hex
    release_dir = release_dir.resolve()
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {name: value for name, value in os.environ.items() if name.startswith("GR_")}
    env |= {
        "GR_RELEASE_DIR": str(release_dir),
        "PWD": str(release_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        processes.ROOT_MARK: str(root),
        processes.LAUNCH_MARK: launch_id,
    }
    version = settings.version_of(release_dir)
    return Launch(id=launch_id, version=version, argv=_argv(configured, release_dir), cwd=str(release_dir), env=env)


def _argv(configured: settings.Settings, release_dir: Path) -> list[str]:
    log = configured.shared / "log"
    options = {
        "--config": f"file:{release_dir / 'dhash' / 'gunicorn_hooks.py'}",
        "--chdir": str(release_dir),
        "--bind": f"{configured.host}:{configured.port}",
        "--worker-class": "gthread",
        "--workers": str(WORKERS),
        "--threads": str(THREADS),
        "--graceful-timeout": str(GRACEFUL_S),
        "--umask": "0o077",
        "--access-logfile": str(log / "access.log"),
        "--error-logfile": str(log / "error.log"),
    }
    flat = [part for pair in options.items() for part in pair]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *flat, "dhash.app:application"]
