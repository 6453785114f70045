"""Runs one command and holds the target's lock until it has ended; standard library only.

`start` and `reload` leave a daemon behind that must not inherit the lock. So not the command holds it but this process,
its parent: if runner and step are both killed, nobody starts the command again while it still runs.
`python -I guardian.py DESCRIPTOR ARGV…` exits as the command does, with 128 + N when signal N ended it.
"""

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def main(descriptor: int, argv: list[str]) -> int:
    """Run `argv` without the descriptor of the lock, and return its exit code."""
    os.set_inheritable(descriptor, False)
    us = os.getpid()
    try:
        process = subprocess.Popen(argv, preexec_fn=lambda: _die_with(us))
    except OSError as error:
        print(f"could not be started: {error}", flush=True)
        return 127
    code = process.wait()
    return code if code >= 0 else 128 - code


def _die_with(guardian: int) -> None:
    """Let the command, not what it leaves behind, end with its guardian (Linux; elsewhere nothing)."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != guardian:
        os._exit(128 + signal.SIGKILL)  # it was killed in between


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
