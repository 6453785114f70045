"""Keep the processes that up.py started alive, and end them kindly; systemd does this in production."""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TextIO

ROOT = Path(__file__).resolve().parent.parent
BEGAN = time.monotonic()
STOP_WITHIN = 30.0  # seconds that a running step gets after the first Ctrl-C
STEADY_AFTER = 10.0  # seconds after which a restarted child counts as well again
LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside at the next start
LIBC = ctypes.CDLL(None)


class Refused(Exception):
    """Something that the reader must change first; the message says what."""


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


def free_port(wanted: int | None) -> int:
    """Return the wanted port or refuse; without a wish 8000, or any free one."""
    for port in (wanted,) if wanted else (8000, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Refused(f"port {wanted} is taken: choose another one, or leave --port and GR_PORT out")


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[TextIO]:
    """Hold a lock file, so that two up.py never run one installation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(f"it is running already ({file.read().strip() or 'starting'}); stop that one first")
        file.truncate(0)
        yield file
        file.truncate(0)


def answers(port: int) -> bool:
    """Say whether the web process gives any HTTP answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status > 0
    return False


def die_with_parent() -> None:
    """Ask Linux to end this child when up.py is killed, so that no orphan goes on taking work."""
    if sys.platform == "linux":
        LIBC.prctl(1, signal.SIGTERM)


class Child:
    """One supervised process, in a session of its own so that Ctrl-C reaches only up.py."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str], log: Path) -> None:
        self.name, self.argv, self.env, self.log = name, argv, env, log
        self.process: subprocess.Popen[bytes] | None = None
        self.since = self.due = 0.0
        self.failures = 0
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def look(self, now: float) -> None:
        """Start the process when it is due; when it died, kill what it left behind and set when it comes back."""
        if self.process is None:
            if now >= self.due:
                self.start(now)
        elif self.process.poll() is not None:
            code = self.process.returncode
            self.kill()
            self.failures = 0 if now - self.since > STEADY_AFTER else self.failures + 1
            pause = min(5.0, 0.25 * 2**self.failures)
            self.due = now + pause
            say(f"{self.name} left (exit code {code}), starts again in {pause:.1f} s; see {self.log}")

    def start(self, now: float) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.since = now

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def terminate(self) -> None:
        """Signal the main process only: a signal to the group would cut its tasks in half."""
        if self.alive():
            self.process.terminate()

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def running_steps(run_dir: Path | None) -> list[Path]:
    """Return the folders of the steps whose runner is alive and has not told how its command ended."""
    folders = sorted(run_dir.glob("steps/*/started.json")) if run_dir else []
    return [file.parent for file in folders if not (file.parent / "exit.json").exists() and _runs(file)]


def _runs(started: Path) -> bool:
    try:
        os.kill(int(json.loads(started.read_text(encoding="utf-8"))["runner_pid"]), 0)
    except (OSError, ValueError, KeyError):
        return False
    return True


class House:
    """The supervised children, and what Ctrl-C means to them."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.presses = 0
        self.run_dir: Path | None = None  # where the product's runners keep their files

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.press)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored means nohup: stay when the terminal closes
            signal.signal(signal.SIGHUP, self.press)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def press(self, *_: object) -> None:
        self.presses += 1

    def add(self, child: Child) -> None:
        self.children.append(child)
        child.look(time.monotonic())

    def keep(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Keep every child alive until something is so; return False when Ctrl-C came first."""
        while not self.presses:
            for child in self.children:
                child.look(time.monotonic())
            if until():
                return True
            time.sleep(0.05)
        return False

    def run(self, argv: list[str], env: dict[str, str], *, capture: bool = False) -> tuple[int, str]:
        """Run a command while the children live; return its exit code and captured output. Raise on Ctrl-C."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                argv, cwd=ROOT, env=env, stdout=output if capture else None, start_new_session=True
            )
            if not self.keep(lambda: process.poll() is not None):
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise KeyboardInterrupt
            output.seek(0)
            return process.returncode, output.read()

    def stop(self) -> None:
        """Ask every child to leave; kill the groups of those that are still there later, or at a second Ctrl-C."""
        if not self.children:
            return
        patience, deadline = (2 if self.presses else 1), time.monotonic() + STOP_WITHIN
        say(f"stopping: no new step, a running one gets {STOP_WITHIN:.0f} s (Ctrl-C again kills)")
        for child in self.children:
            child.terminate()
        while any(child.alive() for child in self.children) and time.monotonic() < deadline and self.presses < patience:
            time.sleep(0.05)
        for child in self.children:
            if child.alive():
                say(f"killing {child.name}")
            child.kill()
        while running_steps(self.run_dir) and time.monotonic() < deadline and self.presses < patience:
            time.sleep(0.05)
        for folder in running_steps(self.run_dir):
            if self.presses < patience:
                say(f"{folder.name} goes on; the next start finds it")
            else:
                say(f"ending the command of {folder.name}")
                (folder / "cancel").touch()
        say("stopped")
