"""Runs many trials and tells what came out of them, as JSON on the last line."""

import argparse
import functools
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.harness import choosing, forks, sabotage, trial
from tests.faults.harness.spec import Spec

TELL_EVERY = 500


@dataclass(kw_only=True)
class Report:
    """What came out of a session; `found` counts findings by kind, `failures` tells the first of them."""

    trials: int = 0
    fired: int = 0
    deliveries: int = 0
    commands: int = 0
    found: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0

    def add(self, spec: Spec, result: trial.Result) -> None:
        """Count one trial."""
        self.trials += 1
        self.fired += result.kills
        self.deliveries += result.deliveries
        self.commands += result.commands
        self.found.update({kind for kind, _ in result.problems})
        self.ended[f"{spec.driver} {result.state}"] += 1
        if result.problems and len(self.failures) < 50:
            self.failures.append({"spec": result.spec, "problems": result.problems[:5]})


def main(argv: list[str]) -> int:
    """Run what the command line asks for, or what comes line by line with `serve`; 1 when something was found."""
    trial.prepare()
    if argv != ["serve"]:
        return _answer(argv)
    choosing.discover()
    for line in sys.stdin:
        # in a child, so that an engine that was broken on purpose is broken only there
        _, status = os.waitpid(forks.fork(functools.partial(_answer, json.loads(line))), 0)
        if status != 0:
            print(json.dumps({"died": os.waitstatus_to_exitcode(status)}), flush=True)
    return 0


def _answer(argv: list[str]) -> int:
    asked = _parse(argv)
    forks.become_reaper()
    if asked.broken:
        choosing.discover()  # the points are those of the whole engine
        trial.ROUNDS = 100
        sabotage.ALL[asked.broken]()
    if asked.what == "unreached":
        report = Report(failures=[{"point": name} for name in choosing.unreached()])
    else:
        report = run(_chosen(asked), stop=bool(asked.broken))
    print(json.dumps(vars(report)), flush=True)
    return 1 if report.failures else 0


def run(specs: Iterable[Spec], *, stop: bool = False) -> Report:
    """Run trials; `stop` at the first finding."""
    report, began = Report(), time.monotonic()
    for spec in specs:
        result = trial.run(spec)
        report.add(spec, result)
        if result.problems:
            print(f"{spec}\n    {result.problems[:5]}", file=sys.stderr, flush=True)
            if stop and {kind for kind, _ in result.problems} != {"raised"}:
                break  # an exception alone names no harm
        report.seconds, report.cpu_s = round(time.monotonic() - began, 1), _cpu_s()
        if report.trials % TELL_EVERY == 0:
            told = {**vars(report), "failures": len(report.failures)}
            print(json.dumps(told), file=sys.stderr, flush=True)
    return report


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.harness", description=__doc__)
    parser.add_argument("what", choices=["random", "statements", "names", "pairs", "replay", "unreached"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="trials of `random`, sample of `pairs` (0: all)")
    parser.add_argument("--stride", type=int, default=1, help="of `statements`: each so-manyth")
    parser.add_argument("--every", action="store_true", help="of `names`: every time in every scenario and driver")
    parser.add_argument("--part", default="0/1", help="i/n: only each n-th trial, from the i-th")
    parser.add_argument("--broken", choices=sorted(sabotage.ALL), help="break the engine first")
    parser.add_argument("--lines", type=Path, help="of `replay`: a file with one trial a line")
    return parser.parse_args(argv)


def _chosen(asked: argparse.Namespace) -> Iterator[Spec]:
    first, step = map(int, asked.part.split("/"))
    for number, spec in enumerate(_all(asked)):
        if number % step == first:
            yield spec


def _all(asked: argparse.Namespace) -> Iterable[Spec]:
    if asked.what == "random":
        return (choosing.by_chance(seed) for seed in range(asked.seed, asked.seed + asked.count))
    if asked.what == "statements":
        return choosing.at_statements(asked.seed, stride=asked.stride)
    if asked.what == "names":
        return choosing.at_names(asked.seed, every=asked.every)
    if asked.what == "pairs":
        return choosing.pairs(asked.seed, sample=asked.count)
    lines = asked.lines.read_text().splitlines() if asked.lines else sys.stdin.read().splitlines()
    return [Spec.read(line) for line in lines if line.strip() and not line.startswith("#")]


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(one.ru_utime + one.ru_stime for one in used), 1)
