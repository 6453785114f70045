"""Runs one declared argv of a component in a release directory: a list, never a shell."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rollout.target import CURRENT, TargetSpec

# What leaves a process behind must not inherit the target's lock: it would hold it for as long as it lives.
LEAVE_A_DAEMON = frozenset({"start", "reload"})
LOCK = "GR_LOCK_DESCRIPTOR"
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
    keep = () if name in LEAVE_A_DAEMON else _lock_descriptor()
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
        code = _wait(argv, cwd, environment, keep, sink.fileno(), timeout_s)
        sink.seek(0)
        text = sink.read().decode("utf-8", "replace")
    for line in text.splitlines():
        log(f"  {line}")
    log(f"  exit {code}")
    return Done(argv=argv, code=code, output=text)


def _wait(
    argv: tuple[str, ...], cwd: Path, environment: dict[str, str], keep: tuple[int, ...], sink: int, timeout_s: int
) -> int:
    try:
        return subprocess.run(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            pass_fds=keep,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        os.write(sink, f"ended after its time-out of {timeout_s} s\n".encode())
        return 124
    except OSError as error:
        os.write(sink, f"could not be started: {error}\n".encode())
        return 127
