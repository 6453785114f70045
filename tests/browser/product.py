"""The product as a process: gunicorn, and where a test needs them worker and pulse, on a database of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.supervise import die_with_parent, free_port
from tests.settings import OUTWARD

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN_S = 30
DOWN_WITHIN_S = 20


@dataclass(kw_only=True)
class Product:
    """One installation in a directory: its address and its processes."""

    folder: Path
    port: int = field(default_factory=lambda: free_port(None))
    processes: list[subprocess.Popen] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Return where the web process answers."""
        return f"http://localhost:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """Return an environment in which nothing of this machine's installation is touched."""
        return {
            **os.environ,
            **{f"GR_{name}": "" for name in OUTWARD.split()},
            "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
            "DJANGO_SECRET_KEY": "only-for-browser-tests",
            "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DATABASE_URL": f"sqlite:///{self.folder}/gr/db.sqlite3",
            "EMAIL_URL": "memorymail://",
            "GR_VAR": str(self.folder / "gr"),
            "GR_RUN_DIR": str(self.folder / "gr" / "run"),
            "GR_BACKUPS": str(self.folder / "backups"),
            "GR_BASE_URL": self.base_url,
            "GR_HTTPS": "0",
        }

    def run(self, *argv: str) -> str:
        """Run Python in the product's environment and return what it printed; fail with what it said."""
        here = {"cwd": ROOT, "env": self.env, "capture_output": True, "text": True}
        done = subprocess.run([sys.executable, *argv], check=False, **here)
        assert done.returncode == 0, f"{argv} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def stage(self, *argv: str) -> Any:
        """Let `stage.py` prepare something, and return what it tells."""
        return json.loads(self.run("-m", "tests.browser.stage", *argv).splitlines()[-1])

    def migrate(self) -> None:
        """Make the database."""
        (self.folder / "gr").mkdir(parents=True, exist_ok=True)
        self.run("manage.py", "migrate", "--noinput", "-v", "0", "--skip-checks")

    def start(self, name: str, *argv: str) -> None:
        """Start a process that lives until `stop`."""
        here = {"cwd": ROOT, "env": self.env, "preexec_fn": die_with_parent}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, *argv], stdout=log, stderr=log, **here)
        self.processes.append(process)

    def serve(self) -> None:
        """Start the web process and wait until it answers."""
        gunicorn = ["-m", "gunicorn", "rollout.wsgi", "--workers", "1"]
        self.start("web", *gunicorn, "--bind", f"127.0.0.1:{self.port}")
        deadline = time.monotonic() + UP_WITHIN_S
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "web.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End every process, the last one first."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(DOWN_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _answers(self) -> bool:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.base_url}/healthz", timeout=2)
        except OSError:
            return False
        return True
