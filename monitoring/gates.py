"""What a gate profile is: sources, gates, window; how it is read, tuned, compared; pure. Durations are seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from decimal import Decimal
from typing import Any, Literal

from . import gates_diff, gates_file
from . import gates_values as values
from .canonical import number
from .gates_diff import Difference
from .gates_values import ProfileError, Reader

__all__ = ["Difference", "Gate", "GateProfile", "ProfileError", "Source", "bind", "diff", "from_config", "tune"]

SourceKind = Literal["http", "json_metric", "prometheus", "host", "command", "log", "golden"]
GateKind = Literal["consecutive_failures", "mean_over", "median_over", "ratio_over", "instant"]
Severity = Literal["rollback", "pause", "alert"]
# A check answers well or not well; every other source answers with a number.
CHECKS = frozenset({"http", "command", "log", "golden"})
# Sources that run a command of the component, by its name in component.toml.
COMPONENT_COMMANDS = {"log": "logging", "golden": "golden"}
OVER = frozenset({"mean_over", "median_over", "ratio_over"})


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place that numbers or check results are read from."""

    name: str
    kind: SourceKind
    title: str
    timeout_s: Decimal = Decimal(10)
    path: str = ""
    key: str = ""
    unit: str = ""
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One upper limit on what a source says: a value above the limit fails."""

    name: str
    title: str
    source: str
    kind: GateKind
    limit: Decimal
    severity: Severity
    unit: str = ""
    over_s: Decimal = Decimal(0)
    per: str = ""  # ratio_over: the counter that `source` is divided by
    min_samples: int = 5


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How far a rollout may tune one number of the profile, inclusive."""

    key: str
    low: Decimal
    high: Decimal


@dataclass(frozen=True, kw_only=True)
class GateProfile:
    """Everything that decides how a watch looks and judges; part of what is signed."""

    name: str
    title: str
    window_s: Decimal
    fast_interval_s: Decimal
    fast_for_s: Decimal
    interval_s: Decimal
    near_share: Decimal
    sources: tuple[Source, ...]
    gates: tuple[Gate, ...]
    observed_share: Decimal = Decimal("0.9")
    max_gap_intervals: Decimal = Decimal(3)
    extend_share: Decimal = Decimal("0.5")
    bounds: tuple[Bound, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain values that canonical JSON can hold."""
        plain = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {**plain, "bounds": {bound.key: [number(bound.low), number(bound.high)] for bound in self.bounds}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "GateProfile":
        """Build the profile that `to_dict` wrote; raise ProfileError."""
        return _checked(_build(cls, data, "profile"), "profile")

    def source(self, name: str) -> Source:
        """Return the source of that name."""
        return next(source for source in self.sources if source.name == name)


def from_config(data: Mapping[str, Any], profile: str) -> GateProfile:
    """Return the named profile of a parsed gates file (its keys: docs/gates.md); raise ProfileError."""
    where = f"profiles.{profile}"
    return _checked(_build(GateProfile, gates_file.resolve(data, profile), where), where)


def tune(profile: GateProfile, changes: Mapping[str, Any]) -> GateProfile:
    """Return the profile with `p95.limit`, `window_s` or other numbers changed; raise ProfileError out of bounds."""
    bounds = {bound.key: bound for bound in profile.bounds}
    plain = profile.to_dict()
    for key, wanted in changes.items():
        if key not in bounds:
            raise ProfileError(key, f"one of the tunable numbers ({', '.join(bounds) or 'none'})", key)
        value, bound = values.amount(wanted, key), bounds[key]
        if not bound.low <= value <= bound.high:
            raise ProfileError(key, f"a number from {number(bound.low)} to {number(bound.high)}", wanted)
        gate, _, number_name = key.rpartition(".")
        holder = plain if not gate else next(item for item in plain["gates"] if item["name"] == gate)
        holder[number_name] = number(value)
    return GateProfile.from_dict(plain)


def bind(profile: GateProfile, commands: Mapping[str, Sequence[str]]) -> GateProfile:
    """Return the profile with the component's argv put into its log and golden sources; raise ProfileError."""
    sources = []
    for source in profile.sources:
        command = COMPONENT_COMMANDS.get(source.kind)
        if command and not source.argv:
            if command not in commands:
                raise ProfileError(f"sources.{source.name}", f"a component command {command!r}", "none")
            source = replace(source, argv=tuple(commands[command]))
        sources.append(source)
    return replace(profile, sources=tuple(sources))


def diff(a: GateProfile, b: GateProfile) -> list[Difference]:
    """Return every value that differs from `a` to `b`."""
    return gates_diff.compare(a.to_dict(), b.to_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Source | Gate):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return None if isinstance(value, Bound) else value


def _many(cls: type[Any]) -> Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or not value:
            raise ProfileError(where, "at least one", repr(value))
        return tuple(_build(cls, item, f"{where}.{_name_of(item, where)}") for item in value)

    return read


def _name_of(item: Any, where: str) -> str:
    return values.text(values.table(item, where).get("name"), f"{where}.name")


def _bounds(value: Any, where: str) -> tuple[Bound, ...]:
    found = []
    for key, pair in sorted(values.table(value, where).items()):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ProfileError(f"{where}.{key}", "a pair [lowest, highest]", repr(pair))
        low, high = (values.amount(end, f"{where}.{key}") for end in pair)
        found.append(Bound(key=key, low=low, high=high))
    return tuple(found)


# Keys without a row here are texts.
_READERS: dict[type[Any], dict[str, Reader]] = {
    Source: {"kind": values.one_of(SourceKind), "timeout_s": values.positive, "argv": values.texts},
    Gate: {
        "kind": values.one_of(GateKind),
        "severity": values.one_of(Severity),
        "limit": values.amount,
        "over_s": values.amount,
        "min_samples": values.count,
    },
    GateProfile: {
        "window_s": values.positive,
        "fast_interval_s": values.positive,
        "fast_for_s": values.amount,
        "interval_s": values.positive,
        "near_share": values.share,
        "observed_share": values.share,
        "max_gap_intervals": values.positive,
        "extend_share": values.amount,
        "sources": _many(Source),
        "gates": _many(Gate),
        "bounds": _bounds,
    },
}


def _build(cls: type[Any], data: Any, where: str) -> Any:
    given = values.table(data, where)
    values.refuse_unknown(given, {field.name for field in fields(cls)}, where)
    built = {}
    for field in fields(cls):
        if field.name in given or field.default is MISSING:
            read: Reader = _READERS[cls].get(field.name, values.text)
            built[field.name] = read(given.get(field.name), f"{where}.{field.name}")
    make: Any = cls
    return make(**built)


def _checked(profile: GateProfile, where: str) -> GateProfile:
    """Refuse a profile whose parts do not fit together."""
    for part in ("sources", "gates"):
        names = [item.name for item in getattr(profile, part)]
        if len(set(names)) != len(names) or not all(names):
            raise ProfileError(f"{where}.{part}", "names, each once", ", ".join(names))
    if not profile.fast_interval_s <= profile.interval_s <= profile.window_s:
        order = f"{profile.fast_interval_s}, {profile.interval_s}, {profile.window_s}"
        raise ProfileError(where, "fast_interval_s <= interval_s <= window_s", order)
    for gate in profile.gates:
        _check_gate(profile, gate, f"{where}.gates.{gate.name}")
    for bound in profile.bounds:
        _check_bound(profile, bound, f"{where}.bounds.{bound.key}")
    return profile


def _check_gate(profile: GateProfile, gate: Gate, where: str) -> None:
    kinds = {source.name: source.kind for source in profile.sources}
    for key, name in (("source", gate.source), *([("per", gate.per)] if gate.per else [])):
        if name not in kinds:
            raise ProfileError(f"{where}.{key}", f"one of the sources {', '.join(kinds)}", repr(name))
    if (gate.kind == "consecutive_failures") != (kinds[gate.source] in CHECKS):
        raise ProfileError(f"{where}.kind", "consecutive_failures for a check, another kind for a number", gate.kind)
    if (gate.kind in OVER) != (gate.over_s > 0):
        raise ProfileError(f"{where}.over_s", f"a duration for {', '.join(sorted(OVER))} only", gate.over_s)
    if (gate.kind == "ratio_over") != bool(gate.per):
        raise ProfileError(f"{where}.per", "the counter to divide by, for ratio_over only", repr(gate.per))


def _check_bound(profile: GateProfile, bound: Bound, where: str) -> None:
    tunable = {"window_s": profile.window_s}
    for gate in profile.gates:
        tunable |= {f"{gate.name}.limit": gate.limit}
        tunable |= {f"{gate.name}.over_s": gate.over_s} if gate.kind in OVER else {}
    if bound.key not in tunable:
        raise ProfileError(where, f"one of {', '.join(tunable)}", bound.key)
    if not bound.low <= tunable[bound.key] <= bound.high:
        raise ProfileError(where, f"bounds that hold the value {tunable[bound.key]}", f"{bound.low} to {bound.high}")
