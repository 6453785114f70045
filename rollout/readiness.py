"""Asks whether this installation can do its work: database, migrations, pulse, worker, queue."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from rollout import heartbeat, nudge

PULSE_LATE_S = 15.0
WORKER_LATE_S = 120.0
QUEUE_LATE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One answer: what was asked, whether it is well, and what was seen."""

    name: str
    ok: bool
    detail: str


def look() -> list[Check]:
    """Ask everything; when the database does not answer, nothing else can be asked."""
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return [Check(name="database", ok=False, detail=f"does not answer: {type(error).__name__}")]
    checks = [Check(name="database", ok=True, detail=connection.vendor)]
    for ask in (_migrations, _pulse, _worker, _queue):
        checks.append(_asked(ask))
        if ask is _migrations and not checks[-1].ok:
            break
    return checks


def _asked(ask: Callable[[], Check]) -> Check:
    try:
        return ask()
    except DatabaseError as error:
        return Check(name=ask.__name__.lstrip("_"), ok=False, detail=f"could not be asked: {type(error).__name__}")


def _migrations() -> Check:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
    return Check(name="migrations", ok=not plan, detail=f"not applied: {names}" if plan else "applied")


def _pulse() -> Check:
    return _beat("pulse", PULSE_LATE_S)


def _worker() -> Check:
    return _beat("worker", WORKER_LATE_S)


def _queue() -> Check:
    waiting, oldest = nudge.waiting(), nudge.oldest_s()
    detail = f"{waiting} waiting, the oldest for {oldest:.0f} s" if waiting else "empty"
    return Check(name="queue", ok=oldest <= QUEUE_LATE_S, detail=detail)


def _beat(name: str, late_s: float) -> Check:
    age = heartbeat.age_s(name)
    if age is None:
        return Check(name=name, ok=False, detail="never seen: start it with `python up.py`, or its systemd unit")
    detail = f"last sign of life {math.floor(age)} s ago"
    return Check(
        name=name, ok=age <= late_s, detail=detail if age <= late_s else f"{detail}, expected within {late_s:.0f} s"
    )
