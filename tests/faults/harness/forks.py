"""Processes by fork instead of a fresh interpreter, with the semantics that subprocess gives them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

PR_SET_CHILD_SUBREAPER = 36
LIMIT = 64  # no process of a trial has as many descriptors


def become_reaper() -> None:
    """Inherit the children of whatever dies below this process, so that none is lost from sight."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this kernel has no child subreaper")


def fork(act: Callable[[], None]) -> int:
    """Run `act` in a child that leaves with 0, or with what it raised in its standard error and 1."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        act()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


class Forked:
    """Stands in for subprocess.Popen in `rollout.runner`: forks, and calls what the argv names."""

    # set by the harness: what an argv means, and what is done as the process begins
    run: ClassVar[Callable[[Sequence[str]], None]]
    reached: ClassVar[Callable[[str], None]]

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        stdout: Any,
        stderr: Any,
        cwd: str | Path,
        pass_fds: Sequence[int],
        start_new_session: bool,
        env: Mapping[str, str] | None = None,
        umask: int = -1,
    ) -> None:
        self.returncode: int | None = None
        type(self).reached("popen:before")

        def child() -> None:
            if start_new_session:
                os.setsid()
            _redirect(stdin, stdout, stderr)
            _close_all_but(pass_fds)
            os.chdir(cwd)
            if umask >= 0:
                os.umask(umask)
            if env is not None:
                os.environ.clear()
                os.environ.update(env)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            type(self).run(argv)

        self.pid = fork(child)
        type(self).reached("popen:after")

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the end; raise TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.001)
        return int(self.returncode or 0)


class Subprocess:
    """Stands in for the module `subprocess` in `rollout.runner`."""

    Popen = Forked
    DEVNULL, STDOUT, TimeoutExpired = subprocess.DEVNULL, subprocess.STDOUT, subprocess.TimeoutExpired


def _redirect(stdin: int, stdout: Any, stderr: Any) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, wanted in enumerate((stdin, stdout, stderr)):
        if wanted == subprocess.DEVNULL:
            os.dup2(nothing, number)
        elif wanted == subprocess.STDOUT:
            os.dup2(1, number)
        else:
            os.dup2(wanted if isinstance(wanted, int) else wanted.fileno(), number)
    sys.stdout = os.fdopen(1, "w", closefd=False)


def _close_all_but(kept: Sequence[int]) -> None:
    for number in range(3, LIMIT):
        if number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)
