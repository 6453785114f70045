"""Tells by field how two documents differ, and lays one document out as fields; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAIRS = (("old", "new"), ("before", "after"), ("was", "now"))
# what may tell one object of a list from the others; a file's name changes with its version, its kind does not
NAMING, OF_FILES = ("name", "kind", "slug", "sha", "id", "url"), ("kind", "name")
NONE = "(none)"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field by its path; None where there is none."""

    path: str
    before: str | None = None
    after: str | None = None

    @property
    def change(self) -> str:
        """Say whether it came, went or changed."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"


def differences(before: Any, after: Any) -> tuple[Field, ...]:
    """Return the fields in which two documents differ, by path."""
    was, now = dict(flat(before)), dict(flat(after))
    paths = dict.fromkeys([*was, *now])
    return tuple(
        Field(path=path, before=was.get(path), after=now.get(path))
        for path in paths
        if was.get(path) != now.get(path) and not _is_filled(path, was, now, paths)
    )


def told(document: Mapping[str, Any]) -> tuple[tuple[Field, ...], tuple[tuple[str, str], ...]]:
    """Return what a document says was changed, from what to what, and its other fields."""
    for old, new in PAIRS:
        if old in document and new in document:
            rest = {key: value for key, value in document.items() if key not in (old, new)}
            changed = differences(document[old], document[new])
            return changed, tuple(flat(rest))
    return (), tuple(flat(document))


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of each value inside; objects of a list go by their name, so that none shifts the others."""
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        for name, one in zip(_names(value), value, strict=True):
            yield from flat(one, f"{path}[{name}]")
    else:
        yield path or "value", text(value)


def text(value: Any) -> str:
    """Return a value as a reader expects it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(one) for one in value) or NONE
    if isinstance(value, Mapping) or value is None or value == "":
        return NONE
    return str(value)


def _names(values: Sequence[Any]) -> list[str]:
    """Return what the objects of a list are called: by the first of NAMING that all have and none shares."""
    files = all(isinstance(one, Mapping) and "sha256" in one for one in values)
    for key in OF_FILES if files else NAMING:
        names = [str(one.get(key) or "") if isinstance(one, Mapping) else "" for one in values]
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(number) for number, _ in enumerate(values, 1)]


def _is_filled(path: str, was: Mapping[str, str], now: Mapping[str, str], paths: Iterable[str]) -> bool:
    """Say whether an empty field only became one with fields inside, or the other way; these are told instead."""
    empty = NONE in (was.get(path), now.get(path)) and None in (was.get(path), now.get(path))
    return empty and any(one.startswith((f"{path}.", f"{path}[")) for one in paths)
