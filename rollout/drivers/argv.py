"""Runs one declared argv of a component in a release directory: a list, never a shell."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rollout.drivers import guardian
from rollout.target import CURRENT, TargetSpec

# What leaves a process behind must not inherit the target's lock: it would hold it for as long as it lives. Its
# guardian holds it, and ends when the command does.
LEAVE_A_DAEMON = frozenset({"start", "reload"})
LOCK = "GR_LOCK_DESCRIPTOR"
# Half of what the runner keeps of a step.
OUTPUT_LIMIT_BYTES = 8 * 1024**2
LOOK_S = 0.02
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended, with what it printed."""

    argv: tuple[str, ...]
    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Say whether it exited with 0."""
        return self.code == 0

    @property
    def last_line(self) -> str:
        """Return the last line that it printed, which is where most tools say what went wrong."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "(no output)"


def values(target: TargetSpec, release_dir: Path, version: str) -> dict[str, str]:
    """Return the placeholders of an argv; the command sees the same ones as GR_* variables."""
    root = target.root_path
    return {
        "component": target.component,
        "environment": target.environment,
        "release": version,
        "root": str(root),
        "release_dir": str(release_dir),
        "current": str(root / CURRENT),
        "shared": str(root / "shared"),
        "host": target.host,
        "port": str(target.port),
        "base_url": target.base_url,
    }


def run(
    target: TargetSpec, name: str, *, release_dir: Path, version: str, log: Callable[[str], None], timeout_s: int
) -> Done:
    """Run the command `name` in a release directory, telling `log` each line of its output.

    A command that is not declared is an error of the plan, not of the target: raises KeyError.
    """
    known = values(target, release_dir, version)
    places = {**target.placeholders, **known}
    argv = tuple(places[part[1:-1]] if part.startswith("{") else part for part in target.commands[name])
    environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    environment |= {f"GR_{key.upper()}": value for key, value in known.items()}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    log(f"$ {' '.join(argv)}   (in {release_dir})")
    keep = _lock_descriptor()
    if keep and name in LEAVE_A_DAEMON:
        guarded = (sys.executable, "-I", guardian.__file__, str(keep[0]), *argv)
        return replace(_stream(guarded, release_dir, environment, keep, log, timeout_s), argv=argv)
    return _stream(argv, release_dir, environment, keep, log, timeout_s)


def _lock_descriptor() -> tuple[int, ...]:
    """Return the descriptor of the target's lock that the runner gave to this step; none outside of a step.

    A command holds it too: if runner and step are both killed, nobody starts the command again while it still runs.
    """
    given = os.environ.get(LOCK, "")
    if not given:
        return ()
    try:
        os.fstat(int(given))
    except OSError:
        return ()
    return (int(given),)


def _stream(
    argv: tuple[str, ...],
    cwd: Path,
    environment: dict[str, str],
    keep: tuple[int, ...],
    log: Callable[[str], None],
    timeout_s: int,
) -> Done:
    """Read the output into a file, not a pipe: a daemon that inherits it must not keep us waiting for its end."""
    with tempfile.TemporaryFile() as sink:
        code, note = _wait(argv, cwd, environment, keep, sink.fileno(), timeout_s)
        sink.seek(0)
        text = sink.read(OUTPUT_LIMIT_BYTES).decode("utf-8", "backslashreplace") + note
    for line in text.splitlines():
        log(f"  {line}")
    log(f"  exit {code}")
    return Done(argv=argv, code=code, output=text)


def _wait(
    argv: tuple[str, ...], cwd: Path, environment: dict[str, str], keep: tuple[int, ...], sink: int, timeout_s: int
) -> tuple[int, str]:
    """Return the exit code, and what is to be said beside the output."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
        )
    except OSError as error:
        return 127, f"could not be started: {error}\n"
    try:
        return _watch(process, sink, timeout_s)
    finally:  # also when we are ended ourselves
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen[bytes], sink: int, timeout_s: int) -> tuple[int, str]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(LOOK_S), ""
        if os.fstat(sink).st_size > OUTPUT_LIMIT_BYTES:
            return 125, f"\nended because it printed more than {OUTPUT_LIMIT_BYTES} bytes\n"
    return 124, f"ended after its time-out of {timeout_s} s\n"
