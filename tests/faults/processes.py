"""A real installation in a scratch folder: web, worker and pulse as up.py starts them, kept alive as up.py does."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psycopg

from scripts.supervise import Child
from tests.faults import small_component, stagehand
from tests.faults.proc import (
    PATIENCE_S,
    all_pids,
    command_of,
    drop_database,
    environ_of,
    family,
    free_ports,
    is_open,
    lives,
    make_database,
    wait_for,
)

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, "manage.py"]
HOPELESS = 12  # so many deaths in a row, each within seconds of its start
OUTWARD = ("SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "DISCORD_WEBHOOK_URL", "WEBHOOK_URL", "EMAIL_TO", "GITHUB_TOKEN")


class Installation:
    """Settings, targets and supervised processes; leave it with `close`, after which nothing of it is left."""

    def __init__(
        self,
        folder: Path,
        *,
        targets: dict[str, str],
        postgres: str = "",
        gates: dict[str, Any] | None = None,
        **settings: str,
    ) -> None:
        """Fill an installation whose targets are name -> more lines of its table; on SQLite or on a PostgreSQL URL."""
        self.folder, self.targets, self.postgres = folder, list(targets), ""
        self.port, self.strangers = free_ports(1)[0], []
        self.children: dict[str, Child] = {}
        self.log = folder / "log"
        self.log.mkdir(parents=True)
        try:
            if postgres:
                self.postgres = make_database(postgres)
            self.env = self._settings(settings)
            self.ports = self._serve()
            component = small_component.write(folder / "config", targets, self.ports, gates or small_component.GATES)
            self.hand = self.spawn("stagehand", [sys.executable, "-m", "tests.faults.stagehand"])
            assert self.ask("fill", component=str(component)) == len(targets)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settings(self, settings: dict[str, str]) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        return {
            **kept,
            **{f"GR_{name}": "" for name in OUTWARD},
            "DJANGO_SETTINGS_MODULE": "rollout.settings",
            "DJANGO_SECRET_KEY": "only-for-tests-of-faults-and-for-nothing-else-in-the-world",
            "PYTHONUNBUFFERED": "1",
            "GR_VAR": str(self.folder / "var"),
            "GR_RUN_DIR": str(self.folder / "var" / "run"),
            "GR_BACKUPS": str(self.folder / "backups"),
            "GR_BASE_URL": f"http://127.0.0.1:{self.port}",
            "DATABASE_URL": self.postgres or f"sqlite:///{self.folder}/db.sqlite3",
            "EMAIL_URL": "dummymail://",
            **settings,
        }

    def _serve(self) -> list[int]:
        ports = free_ports(len(self.targets))
        script = str(Path(__file__).with_name("small_target.py"))
        self.spawn("service", [sys.executable, script, str(self.folder), *map(str, ports)])
        wait_for(lambda: all(is_open(port) for port in ports), "the service listens")
        return ports

    # processes

    def spawn(self, name: str, argv: list[str]) -> subprocess.Popen[str]:
        """Start something that nobody starts again; it is killed with the installation."""
        with (self.log / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if name == "stagehand" else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.strangers.append(process)
        return process

    def ask(self, do: str, **values: Any) -> Any:
        """Let the stage hand do something inside the installation."""
        return stagehand.call(self.hand, do, **values)

    def add(self, name: str, argv: list[str], **settings: str) -> Child:
        """Start a process and keep it alive."""
        child = Child(name, argv, {**self.env, **settings}, self.log / f"{name}.log")
        self.children[name] = child
        child.look(time.monotonic())
        return child

    def add_web(self) -> Child:
        """Start the web processes as up.py does."""
        web = [sys.executable, "-m", "gunicorn", "rollout.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        return self.add("web", web)

    def start(self, *, web: bool = True) -> Self:
        """Start all that up.py starts, and wait until it is at work."""
        if web:
            self.add_web()
        self.add("worker", [*MANAGE, "worker"])
        self.add("pulse", [*MANAGE, "pulse"])
        self.until(lambda: self.is_up("worker") and (not web or is_open(self.port)), "everything is up")
        return self

    def is_up(self, worker: str) -> bool:
        """Say whether a cluster has all its processes, and pulse has been seen."""
        return len(family(self.pid(worker))) >= 5 and bool(self.rows("SELECT 1 FROM rollout_heartbeat"))

    def pid(self, name: str) -> int:
        """Return the main process of a child, or 0 while there is none."""
        process = self.children[name].process
        return process.pid if process and process.poll() is None else 0

    def look(self) -> None:
        """Start again what died."""
        for child in self.children.values():
            child.look(time.monotonic())
            assert child.failures < HOPELESS, f"{child.name} does not stay up\n{self.tell()}"

    def until(self, holds: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> Any:
        """Keep everything alive until something holds; return what it is."""

        def ask() -> Any:
            self.look()
            return holds()

        return wait_for(ask, what, patience_s=patience_s, more=self.tell)

    def stop(self) -> None:
        """Ask everything that is kept alive to leave, as Ctrl-C does, and kill what has not left in a while."""
        for child in self.children.values():
            child.terminate()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not any(child.alive() for child in self.children.values()), "end", patience_s=15)
        for child in self.children.values():
            child.kill()

    def close(self) -> None:
        """End every process that belongs to this installation, then remove its database."""
        self.stop()
        for process in self.strangers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.postgres:
            drop_database(self.postgres)

    def left_over(self) -> list[str]:
        """Return what still runs of this installation, but for what a test itself started."""
        own = {process.pid for process in self.strangers}
        return [f"{pid}: {command_of(pid)}" for pid in self.processes() if pid not in own and lives(pid)]

    def processes(self) -> list[int]:
        """Return every process that names this installation's folder in its environment or its command."""
        mark, folder = f"GR_VAR={self.folder / 'var'}".encode(), f"{self.folder}/"
        return [pid for pid in all_pids() if mark in environ_of(pid).split(b"\0") or folder in command_of(pid)]

    # what the database says

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query, straight from the database."""
        with self.connect() as connection:
            return list(connection.execute(sql.replace("?", "%s") if self.postgres else sql, values).fetchall())

    @contextlib.contextmanager
    def connect(self) -> Iterator[Any]:
        """Give a connection to the database of its own; what it writes is committed at once."""
        made: Any = (
            psycopg.connect(self.postgres, autocommit=True)
            if self.postgres
            else sqlite3.connect(f"{self.folder}/db.sqlite3", timeout=20, isolation_level=None)
        )
        with contextlib.closing(made) as connection:
            yield connection

    def beats(self) -> dict[str, int]:
        """Return the signs of life of pulse and workers; what is done once an hour counts there, too, and is none."""
        found = self.rows("SELECT name, counter FROM rollout_heartbeat")
        return {name: counter for name, counter in found if name.startswith(("pulse@", "worker@"))}

    def wait_beats(self, seen: dict[str, int]) -> None:
        """Wait until pulse and workers have both shown once more that they live; a worker is asked every 30 s."""

        def both() -> bool:
            now = self.beats()
            return len(now) == 2 and all(now[name] > seen.get(name, 0) for name in now)

        self.until(both, "both live", patience_s=60)

    def state_of(self, run: int) -> str:
        """Return the state of a run."""
        return str(self.rows("SELECT state FROM rollout_run WHERE id = ?", run)[0][0])

    def wait_end(self, runs: list[int], *, patience_s: float = PATIENCE_S) -> list[str]:
        """Wait until no run is on its way any more; return their states."""
        on_their_way = {"QUEUED", "RUNNING"}
        self.until(
            lambda: not on_their_way & {self.state_of(run) for run in runs},
            f"the end of the runs {runs}",
            patience_s=patience_s,
        )
        return [self.state_of(run) for run in runs]

    def root(self, environment: str) -> Path:
        """Return the root of a target; while a file `hold` stands there, a reload does not end."""
        return self.folder / "config" / "env" / environment

    def effects(self, environment: str) -> list[list[str]]:
        """Return the lines that reloads of a target wrote: begin or end, version, pid."""
        log = self.root(environment) / "effects.log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def doubled(self) -> list[tuple[str, list[str]]]:
        """Return the effects that happened more than once, or while another one was under way."""
        return [(name, line) for name in self.targets for line in small_component.wrong(self.effects(name))]

    def tell(self) -> str:
        """Return runs, steps and the ends of the logs, for the message of a failure."""
        with contextlib.suppress(Exception):
            runs = self.rows("SELECT id, state, reason FROM rollout_run ORDER BY id DESC LIMIT 8")
            steps = self.rows("SELECT run_id, number, kind, state, attempt, outcome FROM rollout_step ORDER BY id DESC")
            logs = [f"{file.name}: {file.read_text(errors='replace')[-1500:]}" for file in self.log.iterdir()]
            return "\n".join([*map(str, runs), *map(str, steps[:12]), *logs])
        return "(nothing can be told)"
