"""How one gate judges the readings of its source: a rule a kind of gate; pure. Times are epoch seconds.

*Over W* is the last min(W, time since the deploy). A failed read of a number is missing data, never a pass nor a
failure; a failed health check is a failure.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, takewhile
from statistics import fmean, median
from typing import Any

from . import observation
from .gates import Gate, GateProfile
from .wording import duration, figure


class State(StrEnum):
    """What is known of a gate, or of all of them."""

    PASSING = "passing"  # enough was read, and it is within the limit
    FAILING = "failing"  # enough was read, and it is above the limit
    NO_DATA = "no_data"  # nothing could be read
    UNDECIDED = "undecided"  # something was read, but not enough to say


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one source said at one moment; a check says `ok`, a number needs `ok` and a value."""

    source: str
    at: float
    value: float | None
    ok: bool
    error: str = ""
    elapsed_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """What one gate says now; `missed` counts the reads that failed since the last good one."""

    gate: Gate
    state: State
    value: float | None
    limit: float
    samples: int
    reason: str
    missed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, for a row or a page."""
        return {
            "name": self.gate.name,
            "title": self.gate.title,
            "severity": self.gate.severity,
            "state": str(self.state),
            "value": self.value,
            "limit": self.limit,
            "unit": self.gate.unit,
            "samples": self.samples,
            "missed": self.missed,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One gate's view of a watch: its readings in order of time, none from before the deploy or after now."""

    profile: GateProfile
    gate: Gate
    readings: Sequence[Reading]
    per: Sequence[Reading]
    started_at: float
    now: float

    @property
    def start(self) -> float:
        """Where the span that the gate judges begins."""
        return max(self.started_at, self.now - float(self.gate.over_s or self.profile.window_s))

    def says(self, state: State, reason: str, *, value: float | None = None, samples: int = 0) -> GateVerdict:
        """Return the verdict, with the figures that every rule reports."""
        missed = sum(1 for _ in takewhile(lambda reading: not is_number(reading), reversed(self.readings)))
        if self.gate.kind == "consecutive_failures":
            missed = 0
        limit = float(self.gate.limit)
        return GateVerdict(
            gate=self.gate, state=state, value=value, limit=limit, samples=samples, reason=reason, missed=missed
        )

    def judges(self, value: float, samples: int, what: str) -> GateVerdict:
        """Return failing or passing by the limit; `what` is the sentence, with {} for the value."""
        gate = self.gate
        failing = value > float(gate.limit)  # as floats: 0.1 that was read is the 0.1 of the file
        side = "above" if failing else "within"
        said = what.format(figure(value, gate.unit))
        reason = f"{gate.title}: {said}, {side} the limit of {figure(gate.limit, gate.unit)}."
        return self.says(State.FAILING if failing else State.PASSING, reason, value=value, samples=samples)


def judge_gate(
    profile: GateProfile, gate: Gate, readings: Mapping[str, Sequence[Reading]], *, started_at: float, now: float
) -> GateVerdict:
    """Judge one gate by the readings of each source, in order of time."""
    look = _Look(
        profile=profile,
        gate=gate,
        readings=readings.get(gate.source, ()),
        per=readings.get(gate.per, ()),
        started_at=started_at,
        now=now,
    )
    return _RULES[gate.kind](look)


def is_number(reading: Reading) -> bool:
    """Say whether a reading holds a number that can be judged."""
    return reading.ok and reading.value is not None and math.isfinite(reading.value)


def is_observed(gate: Gate, reading: Reading) -> bool:
    """Say whether a reading told the gate anything: a failed health check did, a failed read of a number did not."""
    return gate.kind == "consecutive_failures" or is_number(reading)


def _consecutive_failures(look: _Look) -> GateVerdict:
    if not look.readings:
        return _missing(look)
    hole = _hole(look, [look.readings[-1]])
    if hole:
        return look.says(State.UNDECIDED, hole)
    streak = _streak(look)
    samples, name, limit = len(look.readings), look.gate.title, figure(look.gate.limit)
    if streak > look.gate.limit:
        reason = f"{name}: {streak} in a row failed, more than {limit}; the last one said: {look.readings[-1].error}."
        return look.says(State.FAILING, reason, value=streak, samples=samples)
    if streak:
        reason = f"{name}: {streak} in a row failed ({look.readings[-1].error}); more than {limit} is a failure."
        return look.says(State.UNDECIDED, reason, value=streak, samples=samples)
    return look.says(State.PASSING, f"{name}: the last one was well.", value=0, samples=samples)


def _streak(look: _Look) -> int:
    """Count the failures at the end; a gap ends the streak, because nobody knows what was well in between.

    A check that runs into its time-out is no gap: it was looking all the while.
    """
    streak, later = 0, look.now
    for reading in reversed(look.readings):
        allowed = observation.longest_allowed_gap_s(look.profile, started_at=look.started_at, at=reading.at)
        if reading.ok or later - reading.at - reading.elapsed_ms / 1000 > allowed:
            break
        streak, later = streak + 1, reading.at
    return streak


def _instant(look: _Look) -> GateVerdict:
    if not any(map(is_number, look.readings)):
        return _missing(look)
    last = look.readings[-1]
    if not is_number(last) or last.value is None:
        return look.says(State.UNDECIDED, f"{look.gate.title}: the last read failed: {last.error or 'no value'}.")
    hole = _hole(look, [last])
    return look.says(State.UNDECIDED, hole) if hole else look.judges(last.value, 1, "now {}")


def _over(middle: Callable[[list[float]], float], word: str) -> Callable[[_Look], GateVerdict]:
    def rule(look: _Look) -> GateVerdict:
        seen = [reading for reading in look.readings if reading.at >= look.start and is_number(reading)]
        unfit = _unfit(look, seen)
        if unfit:
            return unfit
        value = middle([reading.value for reading in seen if reading.value is not None])
        what = f"the {word} of {len(seen)} samples over the last {duration(look.now - look.start)} is {{}}"
        return look.judges(value, len(seen), what)

    return rule


def _ratio_over(look: _Look) -> GateVerdict:
    """Judge what a counter gained against another, in percent; only moments at which both were read count."""
    per = {reading.at: reading for reading in look.per if is_number(reading)}
    seen = [r for r in look.readings if r.at >= look.start and is_number(r) and r.at in per]
    unfit = _unfit(look, seen)
    if unfit:
        return unfit
    whole = _gained([per[reading.at] for reading in seen])
    if not whole:
        return look.says(State.UNDECIDED, f"{look.gate.title}: nothing was counted yet.", samples=len(seen))
    what = f"{{}} of {figure(whole)} counted over the last {duration(look.now - look.start)}"
    return look.judges(100 * _gained(seen) / whole, len(seen), what)


def _gained(counter: Sequence[Reading]) -> float:
    """Add up the steps of a counter; one that fell was started again from 0."""
    values = [reading.value or 0.0 for reading in counter]
    return sum(after - before if after >= before else after for before, after in pairwise(values))


def _unfit(look: _Look, seen: Sequence[Reading]) -> GateVerdict | None:
    """Say why the samples over W cannot be judged, or return None."""
    if not seen:
        return _missing(look)
    if len(seen) < look.gate.min_samples:
        reason = f"{look.gate.title}: {len(seen)} of the {look.gate.min_samples} samples that are needed."
        return look.says(State.UNDECIDED, reason, samples=len(seen))
    hole = _hole(look, seen, since=look.start)
    return look.says(State.UNDECIDED, hole, samples=len(seen)) if hole else None


def _hole(look: _Look, seen: Sequence[Reading], since: float | None = None) -> str:
    """Say which gap in the readings is too long to judge, or return an empty text."""
    times = [reading.at for reading in seen]
    start = times[0] if since is None else since
    holes = observation.gaps(look.profile, times, started_at=look.started_at, start=start, end=look.now)
    if not holes:
        return ""
    longest = max(hole.length_s for hole in holes)
    allowed = figure(look.profile.max_gap_intervals)
    return f"{look.gate.title}: nothing was read for {duration(longest)}, longer than {allowed} intervals."


def _missing(look: _Look) -> GateVerdict:
    """Judge a span without a single sample: too early to say, or no data."""
    since = max([look.start, *(reading.at for reading in look.readings if is_observed(look.gate, reading))])
    allowed = observation.longest_allowed_gap_s(look.profile, started_at=look.started_at, at=since)
    if not look.readings and look.now - since <= allowed:
        return look.says(State.UNDECIDED, f"{look.gate.title}: nothing was read yet.")
    error = look.readings[-1].error if look.readings else "nobody looked"
    return look.says(State.NO_DATA, f"{look.gate.title}: no data for {duration(look.now - since)}: {error}.")


_RULES: Mapping[str, Callable[[_Look], GateVerdict]] = {
    "consecutive_failures": _consecutive_failures,
    "mean_over": _over(fmean, "mean"),
    "median_over": _over(median, "median"),
    "ratio_over": _ratio_over,
    "instant": _instant,
}
