"""Crash trials on all cores: `python -m bench.faults [WHAT] [--trials N] [--jobs J] [--seed S]`, and a table.

WHAT is random (the default), statements, names or pairs; see tests/faults/README.md.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUMS = ("trials", "fired", "deliveries", "commands")
NAMES = {"fired": "kills"}
FINDINGS = ("duplicate", "overlap", "lost", "stuck", "raised", "unknown", "unflagged", "audit")


def main() -> int:
    """Run the trials and print the table; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="random", choices=["random", "statements", "names", "pairs"])
    parser.add_argument("--trials", type=int, default=1000, help="of random; sample of pairs, 0 for all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    asked = parser.parse_args()
    began = time.monotonic()
    reports = _run(asked)
    _tell(reports, asked.seed, time.monotonic() - began)
    return 1 if any(report["failures"] for report in reports) else 0


def _run(asked: argparse.Namespace) -> list[dict[str, Any]]:
    argv = [sys.executable, "-m", "tests.faults.harness", asked.what, "--seed", str(asked.seed)]
    argv += ["--count", str(asked.trials), *(["--every"] if asked.what == "names" else [])]
    jobs = [
        subprocess.Popen([*argv, "--part", f"{number}/{asked.jobs}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for number in range(asked.jobs)
    ]
    return [json.loads(job.communicate()[0].splitlines()[-1]) for job in jobs]


def _tell(reports: list[dict[str, Any]], seed: int, seconds: float) -> None:
    found: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for report in reports:
        found.update(report["found"])
        ended.update(report["ended"])
    rows = [("seed", seed)]
    rows += [(NAMES.get(name, name), sum(report[name] for report in reports)) for name in SUMS]
    rows += [(f"found: {name}", found[name]) for name in FINDINGS]
    rows += [(f"ended: {name}", count) for name, count in sorted(ended.items())]
    for name, value in rows:
        print(f"{name:<32}{value:>12}")
    trials, cpu_s = sum(report["trials"] for report in reports), sum(report["cpu_s"] for report in reports)
    print(f"{'trials/s':<32}{trials / seconds:>12.1f}")
    print(f"{'trials per CPU second':<32}{trials / cpu_s if cpu_s else 0:>12.1f}")
    for failure in (one for report in reports for one in report["failures"]):
        print(f"\n{failure['spec']}")
        for kind, sentence in failure["problems"]:
            print(f"    {kind}: {sentence}")


if __name__ == "__main__":
    raise SystemExit(main())
