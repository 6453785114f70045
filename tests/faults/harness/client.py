"""Asks a harness that runs as a process of its own, made once for all the tests of a session."""

import atexit
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Harness:
    """A process that makes its worlds once, and answers each question with a report."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "tests.faults.harness", "serve"]
        # another database may be named for the suite: the harness brings its own
        environment = {key: value for key, value in os.environ.items() if key != "GR_SUITE_DATABASE_URL"}
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, *argv: object) -> dict[str, Any]:
        """Run trials and return the report; what was found is told in the standard error, too."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([str(one) for one in argv]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the harness died with {self.process.wait()}"
        report = dict(json.loads(line))
        assert "died" not in report, f"the harness could not answer: {report}"
        return report

    def close(self) -> None:
        """Let the process clean up and leave."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


@functools.cache
def harness() -> Harness:
    """Return the harness of this session."""
    made = Harness()
    atexit.register(made.close)
    return made


def told(report: dict[str, Any]) -> str:
    """Return what to do about a report: the lines that replay what was found."""
    lines = [f"{one['spec']}\n    {one['problems']}" for one in report["failures"]]
    return "\n".join(["replay with `python -m tests.faults.harness replay`, and add to regressions.txt:", *lines])
