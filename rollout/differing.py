"""What two frozen manifests differ in, as a person reads it: values, configuration text, files, migrations; pure."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from monitoring import gates_diff
from monitoring.gates_diff import Difference

# parts whose single values are shown; the others are compared by their own rules
PARTS = {"policy": "Policy", "target": "Target", "runbooks": "Runbook"}
ABSENT = "absent"
CONTEXT_LINES = 3
# an SQL statement that takes something away or rewrites it: going back needs the backup, whatever the code does
TAKES = re.compile(
    r"\b(DROP\s+(?:TABLE|COLUMN|INDEX|VIEW|TRIGGER)|DELETE\s+FROM|TRUNCATE|UPDATE\s+\S+\s+SET|REPLACE\s+INTO|RENAME)\b",
    re.IGNORECASE,
)
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

Listing = Mapping[str, tuple[int, int]]  # name -> (CRC-32, size)


class Value(NamedTuple):
    """One value that differs."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of two release archives."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: int

    @property
    def count(self) -> int:
        """Return how many files differ."""
        return len(self.added) + len(self.removed) + len(self.changed)


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One migration of the release; `takes` names the statements that take something away or rewrite it."""

    name: str
    takes: tuple[str, ...]
    text: str

    @property
    def adds_only(self) -> bool:
        """Say whether what is there already stays as it is, as far as its text was found and says so."""
        return bool(self.text) and not self.takes


def gates(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return every value of the gates that differs, and whether less would be caught."""
    return tuple(gates_diff.compare(before["gates"], after["gates"]))


def values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Value, ...]:
    """Return every single value of policy, target and runbooks that differs, and the steps of the plans."""
    old, new = _flat(before), _flat(after)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return tuple(Value(name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names)


def text(before: str, after: str) -> str:
    """Return a unified diff of two texts; "" when they are equal."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "before", "after", n=CONTEXT_LINES, lineterm=""
    )
    return "\n".join(lines)


def files(before: Listing, after: Listing) -> Files:
    """Return which files of two archives differ."""
    both = sorted({*before} & {*after})
    changed = tuple(name for name in both if before[name] != after[name])
    return Files(
        added=tuple(sorted({*after} - {*before})),
        removed=tuple(sorted({*before} - {*after})),
        changed=changed,
        same=len(both) - len(changed),
    )


def migration(name: str, sql: str) -> Migration:
    """Judge a migration by its text: what does it take away or rewrite?"""
    found = (re.sub(r"\s+", " ", one.upper()) for one in TAKES.findall(COMMENTS.sub(" ", sql)))
    takes = dict.fromkeys(re.sub(r"^UPDATE .* SET$", "UPDATE", one) for one in found)
    return Migration(name=name, takes=tuple(takes), text=sql)


def _flat(document: Mapping[str, Any]) -> dict[str, str]:
    flat = {f"{PARTS[part]}: {name}": value for part in PARTS for name, value in _leaves(document.get(part, {}))}
    for kind, steps in document.get("plan", {}).items():
        flat[f"Plan: steps of the {kind}"] = ", ".join(step["kind"] for step in steps)
    return flat


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield path, ", ".join(_word(one) for one in value) or "none"
    else:
        yield path, _word(value)


def _word(value: Any) -> str:
    return " ".join(map(_word, value)) if isinstance(value, list | tuple) else str(value)
