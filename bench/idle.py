"""Measures what an idle installation costs: CPU share of one core and memory (PSS) of all its processes together.

`python -m bench.idle [--seconds N] [--rounds N] [--postgres URL]`: starts web, worker and pulse as up.py does, in a
scratch folder, lets them settle, and prints a table: each process group, then all. CPU is read from /proc/PID/stat,
so that other load of the machine hardly matters; PSS from /proc/PID/smaps_rollup, where shared pages count once.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.proc import family
from tests.faults.processes import Installation

SETTLE_S = 15
GOAL_CPU, GOAL_MIB = 4.0, 350


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process, and children of it that ended, have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    """Return the proportional share of memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def groups(house: Installation) -> Iterator[tuple[str, list[int]]]:
    """Give the processes of the installation by what they are, without those that only a measurement has."""
    for name, child in house.children.items():
        main = child.process.pid if child.process else 0
        yield name, [main, *family(main)]


def measure(house: Installation, seconds: float) -> dict[str, tuple[float, float]]:
    """Return for each group its percent of one core, and its PSS in MiB."""
    before = {name: sum(map(cpu_s, pids)) for name, pids in groups(house)}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {
        name: (100 * (sum(map(cpu_s, pids)) - before[name]) / took, sum(map(pss_mib, pids)))
        for name, pids in groups(house)
    }


def main() -> int:
    """Measure some rounds on one installation; print the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--postgres", default="", help="the URL of a database beside which one is made; else SQLite")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Installation(Path(folder, "gr"), targets={"production": ""}, postgres=options.postgres) as house,
    ):
        house.start()
        time.sleep(SETTLE_S)
        rounds = [measure(house, options.seconds) for _ in range(options.rounds)]
        count = sum(len(pids) for _, pids in groups(house))
    print(f"{'':10}{'CPU, % of a core':>18}{'PSS, MiB':>10}   (median of {options.rounds} x {options.seconds:.0f} s)")
    total_cpu = total_mib = 0.0
    for name in rounds[0]:
        cpu, mib = (statistics.median(one[name][number] for one in rounds) for number in (0, 1))
        total_cpu, total_mib = total_cpu + cpu, total_mib + mib
        print(f"{name:10}{cpu:18.2f}{mib:10.1f}")
    print(
        f"{'all':10}{total_cpu:18.2f}{total_mib:10.1f}   {count} processes; goal: < {GOAL_CPU} % and < {GOAL_MIB} MiB"
    )
    return 0 if total_cpu < GOAL_CPU and total_mib < GOAL_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
