"""How a watch is judged, at every poll and at the end of its window; pure. Times are epoch seconds.

No data is never a pass and never a failure. Every figure that a person sees comes with a sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from . import observation
from .gate_rules import GateVerdict, Reading, State, is_observed, judge_gate
from .gates import Gate, GateProfile
from .observation import Span
from .wording import duration, figure

__all__ = ["End", "GateVerdict", "Reading", "State", "Verdict", "at_end", "closeness", "judge"]

Action = Literal["pass", "extend", "needs_decision", "wait"]
TOLERANCE_S = 0.001  # a row keeps milliseconds
_ByName = Mapping[str, Sequence[Reading]]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What all gates together say now; only `breach` may roll back, `pause` asks a person, `alerts` only tell."""

    state: State
    gates: tuple[GateVerdict, ...]
    breach: GateVerdict | None
    pause: GateVerdict | None
    alerts: tuple[GateVerdict, ...]
    observed_share: float
    longest_gap_s: float
    gap_extension_s: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class End:
    """What to do with the window; store `new_ends_at` and `extended` as they stand here."""

    action: Action
    new_ends_at: float
    extended: bool
    reason: str


def judge(profile: GateProfile, readings: Iterable[Reading], *, started_at: float, now: float) -> Verdict:
    """Judge every gate by the readings from the deploy until now, in any order."""
    by_name = _by_name(readings, started_at, now)
    verdicts = tuple(judge_gate(profile, gate, by_name, started_at=started_at, now=now) for gate in profile.gates)
    breach = _first_failing(verdicts, "rollback")
    deciding = _deciding(profile)
    state = _worst([verdict for verdict in verdicts if verdict.gate in deciding], breach)
    seen = [_times(gate, by_name) for gate in deciding]
    covered = min(observation.covered_s(profile, times, started_at=started_at, now=now) for times in seen)
    return Verdict(
        state=state,
        gates=verdicts,
        breach=breach,
        pause=_first_failing(verdicts, "pause"),
        alerts=tuple(v for v in verdicts if v.gate.severity == "alert" and v.state is State.FAILING),
        observed_share=_share(covered, min(now - started_at, float(profile.window_s))),
        longest_gap_s=max(_longest_gap_s(times, started_at, now) for times in seen),
        gap_extension_s=_gap_extension_s(profile, seen, started_at),
        reason=_sentence(verdicts, state, deciding),
    )


def at_end(
    profile: GateProfile,
    readings: Iterable[Reading],
    *,
    started_at: float,
    ends_at: float,
    extended: bool,
    now: float,
) -> End:
    """Say what to do with a window that ends at `ends_at`: pass, extend, ask a person, or wait."""
    if now < ends_at:
        left = f"The window has {duration(ends_at - now)} left."
        return End(action="wait", new_ends_at=ends_at, extended=extended, reason=left)
    verdict = judge(profile, readings, started_at=started_at, now=now)

    def end(action: Action, reason: str, *, by_s: float = 0, now_extended: bool = extended) -> End:
        return End(action=action, new_ends_at=ends_at + by_s, extended=now_extended, reason=reason)

    wrong = verdict.breach or verdict.pause
    if wrong:
        return end("needs_decision", wrong.reason)
    half_s = float(profile.window_s * profile.extend_share)
    owed_s = started_at + float(profile.window_s) + half_s * extended + verdict.gap_extension_s - ends_at
    if owed_s > TOLERANCE_S:
        return end("extend", f"Nobody could look for {duration(owed_s)}; the window is longer by that.", by_s=owed_s)
    enough = verdict.observed_share >= profile.observed_share
    if enough and verdict.state is State.PASSING:
        return end("pass", f"{_observed(profile, verdict)} {verdict.reason}")
    if enough and now - ends_at <= observation.longest_allowed_gap_s(profile, started_at=started_at, at=ends_at):
        return end("wait", f"The window is over, but not all is known; looking again. {verdict.reason}")
    why = verdict.reason if enough else _observed(profile, verdict)
    if not extended:
        return end("extend", f"{why} Extended once, by {duration(half_s)}.", by_s=half_s, now_extended=True)
    return end("needs_decision", f"{why} It was extended once already; a person decides.")


def closeness(verdict: GateVerdict) -> float:
    """Return the gate's value as a share of its limit; 0 while there is no value."""
    if verdict.value is None or verdict.value <= 0:
        return 0.0
    return verdict.value / verdict.limit if verdict.limit else 1.0


def _by_name(readings: Iterable[Reading], started_at: float, now: float) -> _ByName:
    found: dict[str, list[Reading]] = {}
    for reading in sorted(readings, key=lambda reading: reading.at):
        if started_at <= reading.at <= now:
            found.setdefault(reading.source, []).append(reading)
    return found


def _deciding(profile: GateProfile) -> list[Gate]:
    """Return the gates that the state rests on: those that roll back, or all where none does (staging)."""
    return [gate for gate in profile.gates if gate.severity == "rollback"] or list(profile.gates)


def _times(gate: Gate, by_name: _ByName) -> list[float]:
    return [reading.at for reading in by_name.get(gate.source, ()) if is_observed(gate, reading)]


def _first_failing(verdicts: Sequence[GateVerdict], severity: str) -> GateVerdict | None:
    return next((v for v in verdicts if v.gate.severity == severity and v.state is State.FAILING), None)


def _worst(deciding: Sequence[GateVerdict], breach: GateVerdict | None) -> State:
    """Put the gates together: only a breach fails, and what is not known of one gate is not known of all."""
    if breach:
        return State.FAILING
    states = {verdict.state for verdict in deciding}
    return next((state for state in (State.NO_DATA, State.UNDECIDED) if state in states), State.PASSING)


def _share(part_s: float, whole_s: float) -> float:
    return min(1.0, part_s / whole_s) if whole_s > 0 else 0.0


def _longest_gap_s(times: Sequence[float], started_at: float, now: float) -> float:
    edges = [started_at, *times, now]
    return max(after - before for before, after in pairwise(edges))


def _gap_extension_s(profile: GateProfile, seen: Sequence[Sequence[float]], started_at: float) -> float:
    """Add up the gaps after which a gate was seen again: at most one window, or one single gap that is longer.

    A gap that still lasts does not count: it would move the end for ever. Without the cap a source that answers once
    in a while would, too.
    """
    closed: list[Span] = []
    for times in seen:
        if times:
            closed += observation.gaps(profile, times, started_at=started_at, start=started_at, end=times[-1])
    longest = max((gap.length_s for gap in closed), default=0.0)
    return min(observation.union_s(closed), max(longest, float(profile.window_s)))


def _sentence(verdicts: Sequence[GateVerdict], state: State, deciding: Sequence[Gate]) -> str:
    """Say the state in words: the sentence of the gate that makes it so, or how near the nearest limit is."""
    mine = [verdict for verdict in verdicts if verdict.gate in deciding]
    if state is not State.PASSING:
        return next(verdict.reason for verdict in mine if verdict.state is state)
    above = [verdict.gate.title for verdict in mine if verdict.state is State.FAILING]
    if above:
        return f"Above a limit that only alerts: {', '.join(above)}."
    nearest = max(mine, key=closeness)
    near = f"; the nearest is {nearest.gate.title} at {100 * closeness(nearest):.0f} % of its limit"
    return f"All {len(mine)} gates are within their limits{near}."


def _observed(profile: GateProfile, verdict: Verdict) -> str:
    window, share = duration(profile.window_s), f"{100 * verdict.observed_share:.0f} %"
    return f"{share} of the {window} were observed, {figure(100 * profile.observed_share, '%')} are needed."
