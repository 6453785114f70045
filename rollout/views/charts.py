"""The series of one gate as `static/js/charts.js` draws it (docs/design-system.md); pure."""

from collections.abc import Sequence
from typing import Any

SHORTEST_S = 60.0


def chart(series: dict[str, Any], gate_name: str) -> dict[str, Any] | None:
    """Return the chart of one gate, or None when the watch has no such gate; times are epoch seconds."""
    gate = next((one for one in series["gates"] if one["name"] == gate_name), None)
    if gate is None:
        return None
    times, unit = series["at"], gate["unit"]
    lines = [{"label": "judged", "v": gate["values"]}]
    if gate["kind"] != "consecutive_failures" and gate["kind"] != "ratio_over":
        lines.append({"label": "read", "v": gate["samples"]})
    return {
        "unit": unit,
        "t": times,
        "series": lines,
        "limit": {"value": gate["limit"], "label": f"limit {gate['limit']:g} {unit}".strip()},
        "breaches": breaches(times, gate["states"]),
        "polls": times,
        "window": _window(series),
        "verdicts": gate["states"],
    }


def _window(series: dict[str, Any]) -> list[float]:
    """Return the span that is drawn: what was seen and half as much again, so that the first minutes are not a dot."""
    started, ends, times = series["started_at"], series["ends_at"], series["at"]
    seen = times[-1] - started if times else 0.0
    return [started, max(min(ends, started + max(SHORTEST_S, 1.5 * seen)), times[-1] if times else started)]


def breaches(times: Sequence[float], states: Sequence[str]) -> list[list[float]]:
    """Return the spans (from, to) in which a gate failed; a span ends with the first look that did not fail."""
    spans: list[list[float]] = []
    open_since: float | None = None
    for moment, state in zip(times, states, strict=True):
        if state == "failing" and open_since is None:
            open_since = moment
        elif state != "failing" and open_since is not None:
            spans.append([open_since, moment])
            open_since = None
    if open_since is not None:
        spans.append([open_since, times[-1]])
    return spans
