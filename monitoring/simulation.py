"""A whole watch in virtual time, through the code that judges a real one; pure. Times are seconds since the deploy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .cadence import Next, next_poll
from .faults import Fault, FaultError, World, parse, possible
from .gates import GateProfile
from .verdict import End, Reading, State, Verdict, at_end, judge
from .wording import duration

__all__ = ["Fault", "FaultError", "SimulatedPoll", "SimulationReport", "parse", "possible", "simulate"]

Outcome = Literal["pass", "rollback", "needs_decision"]
# A window can be extended by half and by its gaps; a profile that polls far faster than any real one ends here.
MOST_POLLS = 5000


@dataclass(frozen=True, kw_only=True)
class SimulatedPoll:
    """One look in virtual time: what was seen, judged, and when the next look was due."""

    at_s: float
    state: State
    values: dict[str, float | None]
    reason: str
    next_s: float
    next_reason: str
    window: str  # what happened to the window: empty, or the sentence of an extension


@dataclass(frozen=True, kw_only=True)
class SimulationReport:
    """What would have happened."""

    profile: str
    seed: int
    faults: tuple[str, ...]
    polls: tuple[SimulatedPoll, ...]
    decided_at_s: float
    action: Outcome
    gate: str
    alerts: tuple[str, ...]
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def simulate(profile: GateProfile, faults: Sequence[Fault], *, seed: int = 1) -> SimulationReport:
    """Run one watch from deploy to decision; the same arguments give the same report."""
    world, readings = World(profile, faults, seed), list[Reading]()
    polls: list[SimulatedPoll] = []
    alerts: dict[str, str] = {}
    at_s, ends_at, extended = 0.0, float(profile.window_s), False
    while True:
        readings += world.readings(at_s)
        verdict = judge(profile, readings, started_at=0.0, now=at_s)
        end = at_end(profile, readings, started_at=0.0, ends_at=ends_at, extended=extended, now=at_s)
        ends_at, extended = end.new_ends_at, end.extended
        following = next_poll(profile, verdict, started_at=0.0, now=at_s, ends_at=ends_at)
        polls.append(_poll(at_s, verdict, end, following))
        for alert in verdict.alerts:
            alerts.setdefault(alert.gate.name, f"Alert at {duration(at_s)}: {alert.reason}")
        outcome = _outcome(verdict, end)
        if outcome is None and len(polls) >= MOST_POLLS:
            raise FaultError(f"no decision after {MOST_POLLS} polls; the intervals are too short for the window")
        if outcome is not None:
            return _report(profile, faults, seed, polls, outcome, verdict, end, tuple(alerts.values()))
        at_s += following.interval_s


def _outcome(verdict: Verdict, end: End) -> Outcome | None:
    if verdict.breach:
        return "rollback"
    if verdict.pause or end.action == "needs_decision":
        return "needs_decision"
    return "pass" if end.action == "pass" else None


def _poll(at_s: float, verdict: Verdict, end: End, following: Next) -> SimulatedPoll:
    return SimulatedPoll(
        at_s=at_s,
        state=verdict.state,
        values={gate.gate.name: gate.value for gate in verdict.gates},
        reason=verdict.reason,
        next_s=following.interval_s,
        next_reason=following.reason,
        window=end.reason if end.action == "extend" else "",
    )


def _report(
    profile: GateProfile,
    faults: Sequence[Fault],
    seed: int,
    polls: Sequence[SimulatedPoll],
    outcome: Outcome,
    verdict: Verdict,
    end: End,
    alerts: tuple[str, ...],
) -> SimulationReport:
    decided_at_s = polls[-1].at_s
    cause = verdict.breach or verdict.pause
    return SimulationReport(
        profile=profile.name,
        seed=seed,
        faults=tuple(fault.text for fault in faults),
        polls=tuple(polls),
        decided_at_s=decided_at_s,
        action=outcome,
        gate=cause.gate.name if cause else "",
        alerts=alerts,
        sentences=(
            f"{profile.title}. {len(polls)} polls in virtual time.",
            *(poll.window for poll in polls if poll.window),
            *alerts,
            _ending(outcome, decided_at_s, faults, cause.reason if cause else end.reason),
        ),
    )


def _ending(outcome: Outcome, decided_at_s: float, faults: Sequence[Fault], reason: str) -> str:
    verb = {"rollback": "roll back", "pass": "pass", "needs_decision": "ask a person to decide"}[outcome]
    begun = [fault for fault in faults if fault.at_s <= decided_at_s]
    after = f", {duration(decided_at_s - begun[0].at_s)} after {begun[0].text} began" if begun else ""
    return f"It would {verb} {duration(decided_at_s)} after the deploy{after if outcome != 'pass' else ''}: {reason}"
