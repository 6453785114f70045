"""Faults that a simulated window can have: how they are written, and what a source says under them; pure."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .gates import CHECKS, Gate, GateProfile, Source
from .verdict import Reading
from .wording import duration, figure

FaultKind = Literal["down", "nodata", "slow-leak", "level"]
# A healthy service stands at this share of each limit, give or take the jitter.
HEALTHY_SHARE = 0.3
JITTER_SHARE = 0.1
COUNTED_PER_S = 20.0
LEAK_TO = 2  # times the limit, at the end of the window
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh])")
_LEVEL = re.compile(r"(\d+(?:\.\d+)?)\s*(\S*)")


class FaultError(ValueError):
    """A fault is written wrong, or is not possible with the profile; says what is."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong `at_s` seconds after the deploy, for `for_s` seconds, or for good."""

    text: str
    kind: FaultKind
    at_s: float
    for_s: float | None = None
    gate: str = ""
    level: float = 0.0

    def is_on(self, at_s: float) -> bool:
        """Say whether the fault is there at a moment."""
        return at_s >= self.at_s and (self.for_s is None or at_s < self.at_s + self.for_s)


def parse(text: str, profile: GateProfile) -> Fault:
    """Read a fault such as `p95=3000ms@12m`, `down=45s@8m` or `nodata@10m`; raise FaultError."""
    what, at, when = text.partition("@")
    name, equals, value = what.partition("=")
    if not at:
        raise FaultError(f"{text!r}: expected a moment after @, as in {name}@8m. {possible(profile)}")
    begin, plus, lasting = when.partition("+")
    at_s = _seconds(begin, text)
    for_s = _seconds(lasting, text) if plus else None
    if at_s >= profile.window_s:
        raise FaultError(f"{text!r}: the window of {profile.name!r} is {duration(profile.window_s)}; begin within it.")
    if name in ("down", "nodata"):
        kind: FaultKind = "down" if name == "down" else "nodata"
        return Fault(text=text, kind=kind, at_s=at_s, for_s=_seconds(value, text) if equals else for_s)
    if name == "slow-leak":
        gate = _leaking(value, profile, text)
        return Fault(
            text=text, kind="slow-leak", at_s=at_s, for_s=for_s, gate=gate.name, level=LEAK_TO * float(gate.limit)
        )
    gate = _named(name, profile, text)
    return Fault(text=text, kind="level", at_s=at_s, for_s=for_s, gate=gate.name, level=_level(value, gate, text))


def possible(profile: GateProfile) -> str:
    """Say which faults can be written for a profile."""
    levels = ", ".join(f"{gate.name}=VALUE{gate.unit}@TIME" for gate in _numeric(profile))
    return (
        f"Possible: down@TIME, down=DURATION@TIME, nodata@TIME, nodata=DURATION@TIME, slow-leak[=GATE]@TIME, {levels}; "
        "times as 45s, 12m, 1h; +DURATION after the time ends the fault."
    )


def _numeric(profile: GateProfile) -> list[Gate]:
    return [gate for gate in profile.gates if gate.kind != "consecutive_failures"]


def _named(name: str, profile: GateProfile, text: str) -> Gate:
    gate = next((gate for gate in _numeric(profile) if gate.name == name), None)
    if gate is None:
        raise FaultError(f"{text!r}: unknown fault {name!r}. {possible(profile)}")
    return gate


def _leaking(name: str, profile: GateProfile, text: str) -> Gate:
    """Return the gate that a leak drives up: the named one, or the first latency-like one, or the first number."""
    if name:
        return _named(name, profile, text)
    candidates = sorted(_numeric(profile), key=lambda gate: gate.kind != "median_over")
    if not candidates:
        raise FaultError(f"{text!r}: the profile has no gate on a number. {possible(profile)}")
    return candidates[0]


def _seconds(text: str, whole: str) -> float:
    match = _DURATION.fullmatch(text)
    if not match:
        raise FaultError(f"{whole!r}: expected a duration such as 45s, 12m or 1h, found {text!r}.")
    return float(match[1]) * UNITS_S[match[2]]


def _level(text: str, gate: Gate, whole: str) -> float:
    match = _LEVEL.fullmatch(text)
    if not match or match[2] not in ("", gate.unit):
        example = f"{gate.name}={figure(gate.limit)}{gate.unit}"
        raise FaultError(
            f"{whole!r}: expected a number with or without {gate.unit!r}, as in {example}, found {text!r}."
        )
    return float(match[1])


class World:
    """A service in virtual time: healthy but for its faults. The same seed gives the same readings."""

    def __init__(self, profile: GateProfile, faults: Sequence[Fault], seed: int) -> None:
        self.profile, self.faults = profile, faults
        self.random = random.Random(seed)  # noqa: S311 - noise, no secret
        self.counters: dict[str, float] = {}
        self.counted_until_s = 0.0

    def readings(self, at_s: float) -> list[Reading]:
        """Return what every source says at a moment; moments must not go back."""
        down, silent = self._is_on("down", at_s), self._is_on("nodata", at_s)
        levels = {gate.name: self._level(gate, at_s) for gate in _numeric(self.profile)}
        self._count(levels, at_s)
        return [self._reading(source, levels, at_s, down=down, silent=silent) for source in self.profile.sources]

    def _reading(self, source: Source, levels: dict[str, float], at_s: float, *, down: bool, silent: bool) -> Reading:
        if source.kind in CHECKS:
            error = "connection refused" if down else ""
            return Reading(source=source.name, at=at_s, value=float(not down), ok=not down, error=error)
        if silent or (down and source.kind != "host"):
            error = "connection refused" if down else f"{source.key} is null"
            return Reading(source=source.name, at=at_s, value=None, ok=False, error=error)
        gate = next((gate for gate in _numeric(self.profile) if gate.source == source.name), None)
        value = self.counters.get(source.name, levels[gate.name] if gate else 0.0)
        return Reading(source=source.name, at=at_s, value=value, ok=True)

    def _is_on(self, kind: FaultKind, at_s: float) -> bool:
        return any(fault.kind == kind and fault.is_on(at_s) for fault in self.faults)

    def _level(self, gate: Gate, at_s: float) -> float:
        """Return what the gate's source says: a healthy value, or that of the last fault that is on."""
        jitter = 1 + self.random.uniform(-JITTER_SHARE, JITTER_SHARE)
        level = HEALTHY_SHARE * float(gate.limit) * jitter
        for fault in self.faults:
            if fault.gate != gate.name or not fault.is_on(at_s):
                continue
            grown = (at_s - fault.at_s) / (float(self.profile.window_s) - fault.at_s)
            level = fault.level if fault.kind == "level" else level + (fault.level - level) * min(1.0, grown)
        return level

    def _count(self, levels: dict[str, float], at_s: float) -> None:
        """Move the counters of the ratio gates on to a moment."""
        counted = COUNTED_PER_S * (at_s - self.counted_until_s)
        self.counted_until_s = at_s
        for gate in self.profile.gates:
            if gate.kind == "ratio_over":
                share = levels[gate.name] / 100
                self.counters[gate.per] = self.counters.get(gate.per, 0.0) + counted
                self.counters[gate.source] = self.counters.get(gate.source, 0.0) + counted * share
