"""Verify an audit chain with nothing but the standard library: `python verify.py export.jsonl [--head SEQ:HASH]`.

Copy this one file anywhere. The format it reads is told in docs/audit-format.md.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GENESIS = "0" * 64
PROBLEMS_MAX = 100
# shown column -> where the hashed body says the same
SHOWN = {
    "at": ("at",),
    "action": ("action",),
    "actor_id": ("actor", "id"),
    "via": ("actor", "via"),
    "why": ("why",),
    "old": ("old",),
    "new": ("new",),
    "subject_kind": ("subject", "kind"),
    "subject_id": ("subject", "id"),
    "subject_label": ("subject", "label"),
    "component": ("subject", "component"),
    "environment": ("subject", "environment"),
}

Row = tuple[int, str, str, str, Mapping[str, Any]]


@dataclass(kw_only=True)
class Result:
    """What was found: entries read, hash of the last one, and every problem in words (the first 100)."""

    count: int = 0
    head: str = GENESIS
    problems: list[str] = field(default_factory=list)
    erased: int = 0

    @property
    def ok(self) -> bool:
        """Tell whether the chain holds."""
        return not self.problems

    def add(self, problem: str) -> None:
        """Keep a problem, up to the maximum."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def verify_entries(
    rows: Iterable[Row], *, anchors: Mapping[int, str] | None = None, after: tuple[int, str] = (0, GENESIS)
) -> Result:
    """Check rows of (seq, body, prev, hash, columns), oldest first, and return what was found.

    `after` is sequence number and hash of an entry that was verified before: the rows go on from it.

    `anchors` are heads known from outside (a notice's footer): seq -> hash. Without one, a tail that was cut off
    together with the head row cannot be seen.
    """
    result, expected, prev = Result(head=after[1]), after[0] + 1, after[1]
    waiting = dict(anchors or {})
    for seq, body, row_prev, row_hash, columns in rows:
        for problem in _entry(expected, prev, (seq, body, row_prev, row_hash, columns)):
            result.add(f"#{seq}: {problem}")
        if waiting.get(seq) == row_hash:
            del waiting[seq]
        result.erased += 1 if columns.get("person", None) == "" else 0
        result.count, result.head, expected, prev = result.count + 1, row_hash, seq + 1, row_hash
    for seq, digest in sorted(waiting.items()):
        if seq > 0 or digest != GENESIS:
            result.add(f"#{seq}: known from outside with hash {digest}, but the chain does not hold it")
    return result


def read_jsonl(lines: Iterable[str]) -> Iterator[Row]:
    """Yield rows from the lines of `manage.py audit export --format jsonl`."""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            yield int(row["seq"]), row["body"], row["prev"], row["hash"], row["columns"]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(
                f"line {number} is no audit entry ({error!r}): expected seq, body, prev, hash, columns"
            ) from None


def main(argv: list[str] | None = None) -> int:
    """Verify a file and return the exit code: 0 when the chain holds, 1 when not."""
    parser = argparse.ArgumentParser(description="Verify an exported audit chain.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--head", action="append", default=[], metavar="SEQ:HASH", help="a head known from outside")
    options = parser.parse_args(argv)
    anchors = {int(seq): digest for seq, _, digest in (head.partition(":") for head in options.head)}
    with options.file.open(encoding="utf-8") as lines:
        result = verify_entries(read_jsonl(lines), anchors=anchors)
    for problem in result.problems:
        print(problem, file=sys.stderr)
    print(f"{result.count} entries, head {result.head}, {'the chain holds' if result.ok else 'THE CHAIN IS BROKEN'}")
    return 0 if result.ok else 1


def _entry(expected: int, prev: str, row: Row) -> Iterator[str]:
    seq, body, row_prev, row_hash, columns = row
    if seq != expected:
        yield f"expected #{expected}: entries are missing, doubled or out of order"
    if hashlib.sha256(body.encode("utf-8")).hexdigest() != row_hash:
        yield "the sha256 of the body is not the hash"
    if row_prev != prev:
        yield "prev is not the hash of the entry before"
    try:
        told = json.loads(body)
        yield from _told(told, seq, row_prev, columns)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"the body cannot be read: {error!r}"


def _told(told: Mapping[str, Any], seq: int, prev: str, columns: Mapping[str, Any]) -> Iterator[str]:
    if told["seq"] != seq:
        yield f"the body says #{told['seq']}"
    if told["prev"] != prev:
        yield "the body names another prev"
    for column, path in SHOWN.items():
        hashed: Any = told
        for key in path:
            hashed = hashed[key]
        if column in columns and not _same(column, columns[column], hashed):
            yield f"{column} shows {columns[column]!r}, the hashed body says {hashed!r}"
    yield from _person(told["actor"]["person"], columns)


def _person(digest: str, columns: Mapping[str, Any]) -> Iterator[str]:
    person, shown = columns.get("person"), columns.get("actor_name")
    if person is None:
        return
    if person == "":
        if shown:
            yield f"actor_name shows {shown!r}, but the person was erased"
        return
    if hashlib.sha256(person.encode("utf-8")).hexdigest() != digest:
        yield "the personal data is not what was hashed"
    elif json.loads(person)["name"] != shown:
        yield f"actor_name shows {shown!r}, the hashed personal data says {json.loads(person)['name']!r}"


def _same(column: str, shown: Any, hashed: Any) -> bool:
    return bool(shown == hashed) or (column == "at" and _moment(shown) == _moment(hashed))


def _moment(value: Any) -> datetime:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at.astimezone(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
