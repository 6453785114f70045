"""How much of a window was really seen, and where nobody looked; pure, and the same whatever the polling schedule was.

A reading vouches for twice the interval that is due at its time, so one lost poll leaves no hole. The interval that is
due is the plain schedule's (fast at first, then slow): polling faster near a limit never makes the rules stricter.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .gates import GateProfile

VOUCHES_FOR_INTERVALS = 2


class Span(NamedTuple):
    """A span of time, in epoch seconds."""

    start: float
    end: float

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return self.end - self.start


def due_interval_s(profile: GateProfile, *, started_at: float, at: float) -> float:
    """Return the interval of the plain schedule at a moment, in seconds."""
    early = at - started_at < float(profile.fast_for_s)
    return float(profile.fast_interval_s if early else profile.interval_s)


def longest_allowed_gap_s(profile: GateProfile, *, started_at: float, at: float) -> float:
    """Return how long after `at` the next reading may come before it is a gap, in seconds."""
    return float(profile.max_gap_intervals) * due_interval_s(profile, started_at=started_at, at=at)


def gaps(profile: GateProfile, times: Sequence[float], *, started_at: float, start: float, end: float) -> list[Span]:
    """Return the spans within start..end without a reading that are longer than allowed; `times` ascending."""
    edges = [start, *(at for at in times if start <= at <= end), end]
    return [
        Span(before, after)
        for before, after in pairwise(edges)
        if after - before > longest_allowed_gap_s(profile, started_at=started_at, at=before)
    ]


def covered_s(profile: GateProfile, times: Sequence[float], *, started_at: float, now: float) -> float:
    """Return for how many seconds of started_at..now a reading vouches; `times` ascending."""
    total, reached = 0.0, started_at
    for at in times:
        reach = at + VOUCHES_FOR_INTERVALS * due_interval_s(profile, started_at=started_at, at=at)
        start, end = max(at, reached), min(reach, now)
        total += max(0.0, end - start)
        reached = max(reached, end)
    return total


def union_s(spans: Sequence[Span]) -> float:
    """Return the length of the union of spans, in seconds."""
    total, reached = 0.0, float("-inf")
    for span in sorted(spans):
        total += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total
