"""Measures how soon an idle installation acts: click -> first step running, and how late a due poll is looked at.

`python -m bench.latency [--clicks N] [--watches N] [--seconds N] [--rounds N] [--postgres URL]`: web, worker and pulse
as up.py starts them, in a scratch folder. A click is the POST of the start button by a signed-in person; the first step
runs from the moment that its runner made durable, in started.json, just before the command. A poll's lateness is the
time from the moment that the poll before it named to the moment when the worker began to look.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.clicks import Person
from tests.faults.processes import Installation
from tests.faults.small_component import GATES

SETTLE_S = 5
GOAL_CLICK_MS, GOAL_LATE_MS = 300, 500
# The first step looks for more room than any disk has: the run is over with it, and the installation idle again.
ONE_STEP = "minimum_free_mib = 999999999"


def clicks_ms(house: Installation, number: int) -> list[float]:
    """Return the milliseconds from each click to the start of the first step's command."""
    took, person = [], Person(house)
    for _ in range(number):
        rollout = house.ask("approve", environment="clicked")
        page = f"/rollouts/{rollout}/"
        fields = person.fields(page, f"{page}start/")
        house.until(lambda: idle(house), "the installation is idle")
        time.sleep(0.3)
        clicked = time.time()
        person.send(f"{page}start/", fields)
        run = house.rows("SELECT max(id) FROM rollout_run")[0][0]
        house.wait_end([run])
        started = json.loads(Path(house.env["GR_RUN_DIR"], f"steps/run{run}-step1-try1/started.json").read_text())
        took.append(1000 * (started["at"] - clicked))
    return took


def idle(house: Installation) -> bool:
    """Say whether nothing waits in the queue, and no notice is due."""
    waits = house.rows("SELECT 1 FROM django_q_ormq UNION ALL SELECT 1 FROM monitoring_notice WHERE state = 'QUEUED'")
    return not waits


def lateness_ms(house: Installation, watches: list[str], seconds: float) -> list[float]:
    """Return how many milliseconds late each poll was that fell due while all the targets were watched."""
    since = house.rows("SELECT coalesce(max(id), 0) FROM monitoring_poll")[0][0]
    runs = [house.ask("deploy", environment=name) for name in watches]
    house.wait_end(runs, patience_s=seconds + 240)
    polls = house.rows(
        "SELECT watch_id, at, next_interval_s FROM monitoring_poll WHERE id > ? ORDER BY watch_id, number", since
    )
    late, before = [], {}
    for watch, at, interval in polls:
        if watch in before:
            late.append(1000 * (moment(at) - before[watch]).total_seconds())
        before[watch] = moment(at) + timedelta(seconds=float(interval))
    return late


def moment(at: Any) -> datetime:
    """Return what SQLite keeps as text and PostgreSQL as a time."""
    return at.replace(tzinfo=None) if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=None)


def share(values: list[float], percent: int) -> float:
    """Return a percentile."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def main() -> int:
    """Measure; print every round and the figures that count."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--watches", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30, help="how long each target is watched")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of watches")
    parser.add_argument("--postgres", default="", help="the URL of a database beside which one is made; else SQLite")
    options = parser.parse_args()
    watches = [f"watched{number}" for number in range(options.watches)]
    targets = {"clicked": ONE_STEP} | dict.fromkeys(watches, "")
    with (
        tempfile.TemporaryDirectory() as folder,
        Installation(
            Path(folder, "gr"),
            targets=targets,
            gates={**GATES, "window_s": options.seconds},
            postgres=options.postgres,
        ) as house,
    ):
        house.start()
        time.sleep(SETTLE_S)
        clicks = clicks_ms(house, options.clicks)
        print(
            f"click -> first step running, ms, {len(clicks)} clicks on {'PostgreSQL' if options.postgres else 'SQLite'}"
        )
        told = ", ".join(f"p{percent} {share(clicks, percent):.0f}" for percent in (50, 95))
        print(f"    {told}, worst {max(clicks):.0f}   (goal: p95 < {GOAL_CLICK_MS})", flush=True)
        p99 = []
        print(f"lateness of a due poll, ms, {options.watches} targets watched for {options.seconds:.0f} s")
        for number in range(1, options.rounds + 1):
            late = lateness_ms(house, watches, options.seconds)
            p99.append(share(late, 99))
            print(f"    round {number}: {len(late)} polls, p50 {share(late, 50):.0f}, p99 {p99[-1]:.0f}", flush=True)
        if p99:
            print(f"    median of p99: {statistics.median(p99):.0f}   (goal: < {GOAL_LATE_MS})")
    return 0 if share(clicks, 95) < GOAL_CLICK_MS and statistics.median(p99 or [0]) < GOAL_LATE_MS else 1


if __name__ == "__main__":
    sys.exit(main())
