"""What differs between two profiles, and which way it leans; pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

# More of these means that less is caught, or that it is caught later.
LOOSER_UPWARDS = frozenset(
    {"limit", "over_s", "min_samples", "interval_s", "fast_interval_s", "near_share", "max_gap_intervals", "timeout_s"}
)
# Less of these means that less is looked at.
LOOSER_DOWNWARDS = frozenset({"window_s", "fast_for_s", "observed_share", "extend_share"})
SEVERITIES = ("rollback", "pause", "alert")
WORDS = frozenset({"title", "name", "unit"})
ABSENT = "absent"


class Difference(NamedTuple):
    """One value that differs between two profiles; `looser`: less would be caught, or something else is measured."""

    name: str
    before: str
    after: str
    looser: bool


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return every value that differs between two profiles as `to_dict` writes them."""
    old, new = _flat(before), _flat(after)
    return [
        Difference(key, old.get(key, ABSENT), new.get(key, ABSENT), _is_looser(key, old.get(key), new.get(key)))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _flat(profile: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in profile.items():
        if key in ("sources", "gates"):
            for item in value:
                flat |= {f"{key}.{item['name']}.{inner}": _words(thing) for inner, thing in item.items()}
        elif key == "bounds":
            flat |= {f"bounds.{bound}": f"{low} to {high}" for bound, (low, high) in value.items()}
        else:
            flat[key] = _words(value)
    return flat


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list | tuple) else str(value)


def _is_looser(key: str, before: str | None, after: str | None) -> bool:
    last = key.rpartition(".")[2]
    if before is None or after is None:
        return after is None
    if key.startswith("bounds.") or last in WORDS:
        return False
    if last == "severity":
        return SEVERITIES.index(after) > SEVERITIES.index(before)
    if last in LOOSER_UPWARDS:
        return Decimal(after) > Decimal(before)
    if last in LOOSER_DOWNWARDS:
        return Decimal(after) < Decimal(before)
    return True  # another path, key, kind or argv: it measures something else
