"""Checks that are programs: exit code, time-out, environment; and a probe that hangs."""

import sys
import threading
import time
from pathlib import Path

import pytest

from monitoring import probes
from monitoring.gates import Source
from monitoring.probes import PROBES, read_all

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs and processes as Linux has them")

BASE = "http://127.0.0.1:8103"


def run(script: str, kind: str = "command", timeout_s: float = 10):
    """Run a shell script as a check."""
    check = Source(name="check", title="Check", kind=kind, argv=("/bin/sh", "-c", script), timeout_s=timeout_s)
    return PROBES[kind](check, BASE, lambda url, *, timeout_s: (200, b""))


@pytest.mark.parametrize("kind", ["command", "golden", "log"])
def test_exit_0_is_well(kind):
    found = run("exit 0", kind)

    assert (found.ok, found.value, found.error) == (True, 1, "")


@pytest.mark.parametrize("kind", ["command", "golden", "log"])
def test_another_exit_failed_with_what_it_said(kind):
    found = run("echo 2 hashes differ >&2; exit 3", kind)

    assert (found.ok, found.error) == (False, "exit 3: 2 hashes differ")


def test_a_silent_failure_says_so():
    assert run("exit 1").error == "exit 1: it said nothing"


def test_only_the_end_of_a_long_output_is_kept():
    found = run("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; echo the end; exit 1")

    assert found.error.endswith("the end")
    assert len(found.error) < 200


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path):
    began = time.monotonic()
    found = run(f"sleep 60 & echo $! > {tmp_path}/child; wait", timeout_s=0.3)

    assert (found.ok, found.error) == (False, "/bin/sh did not end within 0.3 s")
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text())
    assert _is_gone(child)


def test_a_daemon_left_behind_does_not_hold_the_check_up():
    began = time.monotonic()

    assert run("sleep 3 & exit 0", timeout_s=10).ok
    assert time.monotonic() - began < 2


def test_a_program_that_is_not_there_failed():
    missing = Source(name="check", title="Check", kind="command", argv=("/no/such/program",))

    assert "cannot be started" in PROBES["command"](missing, BASE, lambda url, *, timeout_s: (200, b"")).error


def test_a_check_without_an_argv_says_what_is_missing():
    unbound = Source(name="golden", title="Golden set", kind="golden")

    assert "has no argv" in PROBES["golden"](unbound, BASE, lambda url, *, timeout_s: (200, b"")).error


def test_the_command_knows_the_address_and_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("GR_SECRET", "hush")

    assert run(f'[ "$GR_BASE_URL" = "{BASE}" ] && [ -z "$GR_SECRET" ]').ok


def test_the_argv_is_no_shell_text():
    odd = Source(
        name="check", title="Check", kind="command", argv=(sys.executable, "-c", "import sys; sys.exit(0)", "; exit 1")
    )

    assert PROBES["command"](odd, BASE, lambda url, *, timeout_s: (200, b"")).ok


def test_a_probe_that_ignores_its_time_out_is_left_behind(monkeypatch):
    monkeypatch.setattr(probes, "GRACE_S", 0.05)
    free = threading.Event()

    def hanging(url, *, timeout_s):
        free.wait(10)
        return 200, b""

    slow = Source(name="slow", title="Slow", kind="http", path="/", timeout_s=0.05)
    try:
        (reading,) = read_all([slow], BASE, fetch=hanging, now=0)
    finally:
        free.set()

    assert (reading.ok, reading.error) == (False, "no answer within 0.1 s")


def _is_gone(pid: int) -> bool:
    """Wait until a killed process is gone or a zombie: the signal is sent at once, the death is the kernel's."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.005)
    return False
