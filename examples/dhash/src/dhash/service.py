"""The service at one environment root: where its files are, which processes it has, what it says."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dhash import client, launch, processes, settings

# The last line of a traceback, such as "ModuleNotFoundError: No module named 'x'"; its frames would push it away.
CAUSE = re.compile(r"[\w.]*(Error|Exception): (?!<)")


class Failed(Exception):
    """The command did not do what it should; the message says what holds now."""


class Service:
    """The service at one environment root."""

    def __init__(self) -> None:
        self.settings = settings.load()
        shared = self.settings.shared
        self.root = Path(os.environ.get("GR_ROOT") or shared.parent).resolve()
        self.current = Path(os.environ.get("GR_CURRENT") or self.root / "current")
        self.run_dir = shared / "run"
        self.error_log = shared / "log" / "error.log"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.error_log.parent.mkdir(parents=True, exist_ok=True)

    def processes(self) -> list[processes.Process]:
        """Return every living process of the service."""
        return processes.of_root(self.root)

    def release_dir(self) -> Path:
        """Return the release that `current` names at this moment."""
        return self.current.resolve() if self.current.exists() else settings.RELEASE_DIR

    def said(self) -> tuple[int, dict]:
        """Return the status and the body of /health; (0, {}) without a usable answer."""
        try:
            answer = client.request("GET", f"{self.settings.base_url}/health", timeout_s=2.0)
            return answer.status, answer.json()
        except (client.Unreachable, ValueError):
            return 0, {}

    def health(self) -> dict | None:
        """Return what /health says when it is well, else None."""
        status, said = self.said()
        return said if status == 200 else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one command at a time work on the processes."""
        with (self.run_dir / "ctl.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def remember(self, launched: launch.Launch, pid: int) -> None:
        """Note which launch serves, for people and for the next reload."""
        launched.save(self.run_dir / "serving.json")
        (self.run_dir / "dhash.pid").write_text(f"{pid}\n", encoding="utf-8")

    def forget(self) -> None:
        """Remove the notes of a service that no longer runs."""
        for name in ("dhash.pid", "serving.json", "launch.json"):
            (self.run_dir / name).unlink(missing_ok=True)

    def log_since(self, offset: int) -> str:
        """Return the errors named in the log after this offset, then its last lines."""
        if not self.error_log.exists():
            return "(no error log)"
        with self.error_log.open("rb") as handle:
            handle.seek(offset)
            lines = handle.read().decode(errors="replace").splitlines()
        causes = dict.fromkeys(line for line in lines if CAUSE.match(line))
        return "\n".join([*causes, "...", *lines[-30:]])
