"""Finds the processes of a running installation by what they do, kills one, and measures until work goes on."""

import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.proc import children_of, family, lives, talks_to
from tests.faults.processes import Installation

IDLE, BUSY, MONITOR, PUSHER = "idle queue worker", "busy queue worker", "monitor", "pusher"
SENTINEL, CLUSTER, PULSE, WEB_WORKER, WEB_MASTER = "sentinel", "cluster", "pulse", "web worker", "web master"
KINDS = (IDLE, BUSY, MONITOR, PUSHER, SENTINEL, CLUSTER, PULSE, WEB_WORKER, WEB_MASTER)
SPAWNED = (IDLE, IDLE, MONITOR, PUSHER)  # what the sentinel starts, in this order
RESTLESS = 2  # after so many early deaths in a row the supervisor waits long; that is not what is measured here


@dataclass
class Killer:
    """Kills processes of an installation whose targets always have live runs."""

    house: Installation
    random: random.Random
    runs: list[int] = field(default_factory=list)
    took: list[tuple[str, float]] = field(default_factory=list)
    roles: dict[int, str] = field(default_factory=dict)

    def kill(self, kind: str) -> None:
        """Kill a process of a kind while runs are live, and note how long it took until work went on."""
        house = self.house
        child = house.children[self.child_of(kind)]
        house.until(lambda: child.failures < RESTLESS or time.monotonic() - child.since > 10, "it is steady")
        victim: int = house.until(lambda: self.feed() and self.victim(kind), f"a {kind} to kill")
        old = [victim] if kind == WEB_WORKER else [house.pid(child.name), *family(house.pid(child.name))]
        beat = self.pulse_counter()
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        house.until(lambda: not any(map(lives, old)), f"the end of all that belongs to the {kind}")
        before = self.progress()
        house.until(
            lambda: (
                house.pid(child.name)
                and (kind != PULSE or self.pulse_counter() != beat)
                and (child.name != "web" or self.answers())
                and self.progress() != before
            ),
            f"work after the kill of the {kind}",
        )
        self.took.append((kind, time.monotonic() - began))

    def feed(self) -> bool:
        """Start a rollout on every target that is free; return whether one is in the middle of a step."""
        live = {row[0] for row in self.house.rows(LIVE)}
        for name in self.house.targets:
            if name not in live:
                self.runs.append(self.house.ask("deploy", environment=name))
                self.house.look()
        return bool(self.house.rows("SELECT 1 FROM rollout_step WHERE state = 'RUNNING'"))

    def child_of(self, kind: str) -> str:
        """Return which supervised child a kind of process belongs to."""
        return {PULSE: "pulse", WEB_WORKER: "web", WEB_MASTER: "web"}.get(kind, "worker")

    def victim(self, kind: str) -> int:
        """Return a process of that kind, or 0 while there is none."""
        if kind in (PULSE, WEB_MASTER, CLUSTER):
            return self.house.pid(self.child_of(kind))
        if kind == WEB_WORKER:
            found = children_of(self.house.pid("web"))
            return self.random.choice(found) if len(found) == 2 else 0
        sentinel = next(iter(children_of(self.house.pid("worker"))), 0)
        if kind == SENTINEL or not sentinel:
            return sentinel
        found = [pid for pid in self.spawned(sentinel) if self.role(pid) == kind]
        return self.random.choice(found) if found else 0

    def spawned(self, sentinel: int) -> list[int]:
        """Return what the sentinel started, once it has started all of it, and learn what each of them is."""
        found = children_of(sentinel)
        if len(found) < len(SPAWNED):
            return []
        if not any(pid in self.roles for pid in found):
            self.roles = dict(zip(found, SPAWNED, strict=True))
        return found

    def role(self, pid: int) -> str:
        """Return what a process of the cluster is now; one that came later is a worker."""
        role = self.roles.get(pid, IDLE)
        return BUSY if role == IDLE and talks_to(pid, self.house.ports) else role

    def progress(self) -> tuple[int, ...]:
        """Return what grows when any run is taken further."""
        return tuple(int(number or 0) for number in self.house.rows(PROGRESS)[0])

    def wait_progress(self, *, or_else: Callable[[], bool]) -> None:
        """Wait until a run is taken further, or something else is so."""
        before = self.progress()
        self.house.until(lambda: self.progress() != before or or_else(), "work goes on")

    def pulse_counter(self) -> int:
        """Return how often pulse has beaten."""
        rows = self.house.rows("SELECT counter FROM rollout_heartbeat WHERE name LIKE 'pulse%'")
        return int(rows[0][0]) if rows else 0

    def answers(self) -> bool:
        """Say whether the web process answers a page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.house.port}/login/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


LIVE = """
SELECT e.name FROM rollout_run r JOIN rollout_target t ON r.target_id = t.id
JOIN rollout_environment e ON t.environment_id = e.id WHERE r.state IN ('QUEUED', 'RUNNING')
"""
PROGRESS = """
SELECT (SELECT sum(attempt) FROM rollout_step), (SELECT count(*) FROM rollout_step WHERE ended_at IS NOT NULL),
(SELECT max(id) FROM monitoring_poll)
"""


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile; of a few values the highest that it may be."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
