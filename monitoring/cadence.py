"""When to look again, and why; pure. Times are epoch seconds."""

from dataclasses import dataclass

from .gates import GateProfile
from .verdict import GateVerdict, State, Verdict, closeness
from .wording import duration, figure

# After a failed read of a number: look again after this share of the fast interval, this often at most.
RETRY_SHARE = 1 / 3
RETRIES = 3


@dataclass(frozen=True, kw_only=True)
class Next:
    """How long to wait before the next poll, and the reason in words."""

    interval_s: float
    reason: str


def next_poll(
    profile: GateProfile, verdict: Verdict | None, *, started_at: float, now: float, ends_at: float | None = None
) -> Next:
    """Return when to look again; `ends_at`, when given, brings the poll forward so that one falls on the end."""
    if verdict is None:
        return Next(interval_s=0.0, reason="first look: at once")
    interval_s, why = _interval(profile, verdict, started_at, now)
    left_s = ends_at - now if ends_at is not None else 0.0
    if 0 < left_s < interval_s:
        return Next(interval_s=left_s, reason=f"the window ends in {duration(left_s)}")
    return Next(interval_s=interval_s, reason=f"{why}: every {duration(interval_s)}")


def _interval(profile: GateProfile, verdict: Verdict, started_at: float, now: float) -> tuple[float, str]:
    fast_s = float(profile.fast_interval_s)
    # An alert changes nothing, so it is no reason to look more often.
    watched = [gate for gate in verdict.gates if gate.gate.severity != "alert"] or list(verdict.gates)
    # Failing checks are looked at no faster than that: a short blip must not become three failures in a row.
    failing = next((gate for gate in watched if gate.gate.kind == "consecutive_failures" and gate.value), None)
    if failing:
        return fast_s, f"{failing.gate.title}: {figure(failing.value or 0)} so far"
    missed = next((gate for gate in watched if 1 <= gate.missed <= RETRIES), None)
    if missed:
        return fast_s * RETRY_SHARE, f"{missed.gate.title} could not be read"
    if now - started_at < float(profile.fast_for_s):
        return fast_s, f"first {duration(profile.fast_for_s)}"
    why = next(filter(None, (_tightens(profile, gate) for gate in watched)), "")
    if why:
        return fast_s, why
    return float(profile.interval_s), "all gates are well within their limits"


def _tightens(profile: GateProfile, gate: GateVerdict) -> str:
    """Say why this gate wants the fast interval, or return an empty text."""
    if gate.state in (State.NO_DATA, State.UNDECIDED):
        return f"{gate.gate.title} is not known"
    share = closeness(gate)
    near = share >= float(profile.near_share)
    return f"{gate.gate.title} at {100 * share:.0f} % of its limit" if near and gate.value else ""
