"""A check that is a program: exit 0 within the time-out is well. Its argv comes from reviewed files, never a page."""

import os
import signal
import subprocess
import tempfile
import time

from monitoring.gates import Source

from .measurement import ERROR_LIMIT, Fetch, Measurement, checked

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Run the source's argv once, without a shell, in a process group of its own that a time-out kills whole."""
    began = time.monotonic()
    if not source.argv:
        return checked(f"source {source.name!r} has no argv: bind() was not called or the gates file lacks it", began)
    try:
        return checked(_failure(source, base_url), began)
    except OSError as error:
        return checked(f"{source.argv[0]} cannot be started: {error.strerror}", began)


def _failure(source: Source, base_url: str) -> str:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"GR_BASE_URL": base_url, "PYTHONDONTWRITEBYTECODE": "1"}
    # A file, not a pipe: a daemon that the command leaves behind would hold a pipe open past the time-out.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            source.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=float(source.timeout_s))
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"{source.argv[0]} did not end within {source.timeout_s} s"
        if code == 0:
            return ""
        output.seek(max(0, output.seek(0, os.SEEK_END) - ERROR_LIMIT // 2))
        said = output.read().decode("utf-8", "replace").strip()
    return f"exit {code}: {said or 'it said nothing'}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
