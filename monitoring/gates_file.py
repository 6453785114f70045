"""How a profile of a gates file is put together: `base`, then its own keys, then `divide_durations_by`; pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .canonical import number
from .gates_values import ProfileError, amount, positive, refuse_unknown, table, text

# The time-out of a probe is not a duration of the profile: a network does not get faster because a window is short.
NOT_DIVIDED = frozenset({"timeout_s"})
DERIVED_KEYS = frozenset({"title", "base", "divide_durations_by"})


def resolve(data: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Return the named profile with its bases merged in, sources and gates as named lists; raise ProfileError."""
    top = table(data, "gates file")
    refuse_unknown(top, {"about", "profiles"}, "gates file")
    merged = _merged(table(top.get("profiles"), "profiles"), profile, ())
    for part in ("sources", "gates"):
        where = f"profiles.{profile}.{part}"
        named = table(merged.get(part), where)
        merged[part] = [{**table(item, f"{where}.{name}"), "name": name} for name, item in named.items()]
    return {**merged, "name": profile}


def _merged(profiles: Mapping[str, Any], name: str, below: tuple[str, ...]) -> dict[str, Any]:
    where = f"profiles.{name}"
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "(there are none)"
        raise ProfileError(where, f"one of the profiles {known}", repr(name))
    if name in below:
        raise ProfileError(f"{where}.base", "a base that does not lead back", " -> ".join((*below, name)))
    own = table(profiles[name], where)
    base = own.pop("base", None)
    divisor = own.pop("divide_durations_by", None)
    if divisor is not None:
        _refuse_more_than_divided(own, base, where)
    merged = own if base is None else _overlaid(_merged(profiles, text(base, f"{where}.base"), (*below, name)), own)
    if divisor is None:
        return merged
    return _divided(merged, positive(divisor, f"{where}.divide_durations_by"), where)


def _refuse_more_than_divided(own: Mapping[str, Any], base: Any, where: str) -> None:
    """Refuse any other key, so that nothing but durations can differ from the base."""
    if base is None:
        raise ProfileError(f"{where}.base", "the profile whose durations are divided", "nothing")
    refuse_unknown(own, DERIVED_KEYS, where)


def _overlaid(base: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, dict)
        merged[key] = _overlaid(below, value) if both and isinstance(below, dict) else value
    return merged


def _divided(value: Mapping[str, Any], divisor: Decimal, where: str) -> dict[str, Any]:
    return {key: _divided_item(key, item, divisor, f"{where}.{key}") for key, item in value.items()}


def _divided_item(key: str, item: Any, divisor: Decimal, where: str) -> Any:
    if isinstance(item, Mapping):
        return _divided(item, divisor, where)
    if not key.endswith("_s") or key in NOT_DIVIDED:
        return item
    if isinstance(item, list):
        return [number(amount(end, where) / divisor) for end in item]
    return number(amount(item, where) / divisor)
