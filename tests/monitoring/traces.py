"""Profiles and traces for the tests of the judges: a service told as functions of time, looked at on any schedule."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from monitoring.gates import GateProfile, from_config
from monitoring.verdict import Reading

CONFIG = json.loads((Path(__file__).parents[2] / "examples/dhash/quality-gates-config.json").read_text())
PRODUCTION = from_config(CONFIG, "production")
STAGING = from_config(CONFIG, "staging")
DEMO = from_config(CONFIG, "demo")

Value = float | None
Trace = dict[str, Callable[[float], Value]]
HEALTHY: Trace = {
    "health": lambda at: 1,
    "extraction": lambda at: 1.0,
    "p95": lambda at: 400.0,
    "queue": lambda at: 10.0,
}


def reading(source: str, at: float, value: Value, *, error: str = "") -> Reading:
    """Return what one source said; None is no data, and a health check that says 0 failed."""
    if source == "health":
        return Reading(source=source, at=at, value=value, ok=bool(value), error="" if value else "connection refused")
    return Reading(source=source, at=at, value=value, ok=value is not None, error="" if value is not None else "null")


def look(times: Iterable[float], **changed: Callable[[float], Value]) -> list[Reading]:
    """Look at a healthy service with some sources changed, at these times."""
    trace = HEALTHY | changed
    return [reading(source, at, says(at)) for at in times for source, says in trace.items()]


def every(seconds: float, until: float, since: float = 0) -> list[float]:
    """Return the times of a schedule, both ends included."""
    return [since + seconds * index for index in range(int((until - since) // seconds) + 1)]


def scheduled(until: float) -> list[float]:
    """Return the times of production's plain schedule."""
    return [at for at in [*every(30, 300), *every(120, 36000, since=420)] if at <= until]


def one_gate(kind: str, *, limit: float = 5, severity: str = "rollback", **more: object) -> GateProfile:
    """Return a profile of one gate on one number."""
    return GateProfile.from_dict(
        PRODUCTION.to_dict()
        | {
            "bounds": {},
            "sources": [{"name": "number", "kind": "json_metric", "title": "A number"}],
            "gates": [
                {"name": "gate", "title": "Gate", "source": "number", "kind": kind, "limit": str(limit)}
                | {"severity": severity}
                | more
            ],
        }
    )
