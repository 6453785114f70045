"""A small gate profile and a fake target for the tests of watches."""

import json
from decimal import Decimal

from monitoring import watcher
from monitoring.gates import Gate, GateProfile, Source
from monitoring.models import Watch
from monitoring.routes import Route

from .effects import NOW, ROLLOUT, later


def gate(name, limit, severity, kind="instant") -> Gate:
    """Return a gate on the source of the same name."""
    return Gate(name=name, title=name, source=name, kind=kind, limit=Decimal(limit), severity=severity)


PROFILE = GateProfile(
    name="small",
    title="Small",
    window_s=Decimal(60),
    fast_interval_s=Decimal(5),
    fast_for_s=Decimal(10),
    interval_s=Decimal(10),
    near_share=Decimal("0.8"),
    sources=(
        Source(name="health", kind="http", title="Health", path="/health", timeout_s=Decimal(1)),
        Source(name="p95", kind="json_metric", title="p95", path="/p95", key="ms", unit="ms", timeout_s=Decimal(1)),
        Source(name="queue", kind="json_metric", title="Queue", path="/queue", key="n", timeout_s=Decimal(1)),
        Source(name="disk", kind="json_metric", title="Disk", path="/disk", key="used", unit="%", timeout_s=Decimal(1)),
    ),
    gates=(
        gate("health", 2, "rollback", kind="consecutive_failures"),
        gate("p95", 2000, "rollback"),
        gate("queue", 1000, "pause"),
        gate("disk", 90, "alert"),
    ),
)
ALERTS = (Route(channel="file"),)


class Target:
    """A target whose answers a test sets; `calls` counts the requests."""

    def __init__(self):
        self.status, self.p95, self.queue, self.disk, self.calls = 200, 300, 5, 40, 0

    def __call__(self, url, *, timeout_s):
        """Answer one GET."""
        self.calls += 1
        if url.endswith("/health"):
            return self.status, b""
        figure = {"/p95": {"ms": self.p95}, "/queue": {"n": self.queue}, "/disk": {"used": self.disk}}
        path = "/" + url.rpartition("/")[2]
        if None in figure[path].values():
            raise OSError("connection refused")
        return 200, json.dumps(figure[path]).encode()


def open_watch(profile=PROFILE, **changes) -> Watch:
    """Open a watch that started at NOW."""
    values = {"base_url": "http://127.0.0.1:1", "routes": ALERTS, "url": "http://x/41", **changes}
    spec = watcher.WatchSpec(subject=ROLLOUT, profile=profile, started_at=NOW, **values)
    return watcher.open(spec, now=NOW)


def run(watch: Watch, target: Target, *, until: float, start: float = 0.0) -> list[tuple[float, list[int]]]:
    """Observe at each due moment until `until` seconds; return the moments at which something was decided."""
    decided, at = [], start
    while at <= until:
        found = watcher.observe_due(later(at), fetch=target)
        if found:
            decided.append((at, found))
        due = watcher.next_due(later(at))
        if due is None:
            break
        at = max((due - NOW).total_seconds(), at + 0.001)
    watch.refresh_from_db()
    return decided
