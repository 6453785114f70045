"""Read the rows of a watch: its readings for the judge, its series for a chart, its time-outs for a claim."""

import json
import math
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from . import http, in_release, set_back
from .audit import Subject
from .gates import GateProfile, Source
from .gates_values import LOOK_MAX_S
from .models import Poll, Sample, Watch
from .verdict import Reading


def readings(watch: Watch) -> list[Reading]:
    """Return all samples of a watch as readings, oldest first."""
    rows = Sample.objects.filter(poll__watch=watch).order_by("poll__number", "id")
    fields = list(rows.values_list("source", "at", "value", "ok", "error", "elapsed_ms"))
    return [
        Reading(source=source, at=at.timestamp(), value=value, ok=ok, error=error, elapsed_ms=elapsed_ms)
        for source, at, value, ok, error, elapsed_ms in set_back.in_order(fields, lambda row: row[1])
    ]


def sample(poll: Poll, reading: Reading) -> Sample:
    """Return the row of one reading; a number that is none becomes missing data."""
    sane = reading.value is None or math.isfinite(reading.value)
    return Sample(
        poll=poll,
        source=reading.source,
        at=poll.at,
        value=reading.value if sane else None,
        ok=reading.ok and sane,
        error=reading.error[:300] if sane else f"{reading.value} is not a finite number",
        elapsed_ms=reading.elapsed_ms,
    )


def series(watch: Watch) -> dict[str, Any]:
    """Return a watch as JSON-able chart data: one time axis of all polls (epoch seconds), and per gate its limit,
    the value judged at each poll, the sample read at each poll, and the state; null where there was none.
    """
    profile = GateProfile.from_dict(watch.profile)
    polls = set_back.in_order(list(Poll.objects.filter(watch=watch).order_by("number")), lambda poll: poll.at)
    return {
        "watch": watch.pk,
        "verdict": watch.verdict,
        "outcome": watch.outcome,
        "started_at": watch.started_at.timestamp(),
        "ends_at": watch.ends_at.timestamp(),
        "at": [poll.at.timestamp() for poll in polls],
        "verdicts": [poll.verdict for poll in polls],
        "intervals_s": [float(poll.next_interval_s) for poll in polls],
        "reasons": [poll.next_reason for poll in polls],
        "gates": _gates(profile, polls, _samples(watch)),
    }


def slowest(watch: Watch) -> timedelta:
    """Return how long the slowest source of a watch may take."""
    return timedelta(seconds=max(min(float(source["timeout_s"]), LOOK_MAX_S) for source in watch.profile["sources"]))


def sources_of(watch: Watch) -> list[Source]:
    """Return the sources of a watch; a command runs in the release's directory, with the variables of the target."""
    cwd, env = watch.surroundings.get("cwd", ""), watch.surroundings.get("env", {})
    launch = (sys.executable, "-I", in_release.__file__, cwd, json.dumps(env, sort_keys=True))
    loaded = GateProfile.from_dict(watch.profile).sources
    sources = [replace(source, timeout_s=min(source.timeout_s, Decimal(LOOK_MAX_S))) for source in loaded]
    return [replace(source, argv=(*launch, *source.argv)) if source.argv and cwd else source for source in sources]


def subject_of(watch: Watch) -> Subject:
    """Return what the watch is about."""
    return Subject(
        kind=watch.subject_kind,
        id=watch.subject_id,
        label=watch.subject_label,
        component=watch.component,
        environment=watch.environment,
    )


def fetch(url: str, *, timeout_s: float) -> tuple[int, bytes]:
    """Return status and body of one GET of a target's address (it comes from a reviewed component.toml)."""
    answer = http.fetch(url, timeout_s=timeout_s, allow=None)
    return answer.status, answer.body


def _samples(watch: Watch) -> dict[tuple[datetime, str], float | None]:
    rows = Sample.objects.filter(poll__watch=watch).values_list("at", "source", "value")
    return {(at, source): value for at, source, value in rows.iterator()}


def _gates(
    profile: GateProfile, polls: list[Poll], samples: dict[tuple[datetime, str], float | None]
) -> list[dict[str, Any]]:
    judged = [{row["name"]: row for row in poll.gates} for poll in polls]
    made = []
    for gate in profile.gates:
        rows = [row.get(gate.name, {}) for row in judged]
        made.append(
            {
                "name": gate.name,
                "title": gate.title,
                "kind": gate.kind,
                "severity": gate.severity,
                "unit": gate.unit,
                "limit": float(gate.limit),
                "values": [row.get("value") for row in rows],
                "states": [row.get("state", "no_data") for row in rows],
                "samples": [samples.get((poll.at, gate.source)) for poll in polls],
                "last": rows[-1] if rows else {},
            }
        )
    return made
