"""The manifest inside a backup: canonical JSON out, strictly checked values in."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring import canonical
from rollout.archive.errors import CorruptBackup
from rollout.archive.names import check_tree
from rollout.archive.spec import FORMAT, BackupSpec, Contents, Kind, Member, Rows

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = tuple(field.name for field in fields(Member))
_TYPES = ("file", "directory", "symlink", "dump")


def build(
    spec: BackupSpec, members: Sequence[Member], rows: Rows, *, created: datetime, kind: Kind, shown: Iterable[str]
) -> bytes:
    """Return the manifest's bytes; `shown` holds the PostgreSQL URLs as they may be stored."""
    check_tree((member.path, member.type) for member in members)
    return canonical.dump_bytes(
        {
            "format": FORMAT,
            "component": spec.component,
            "environment": spec.environment,
            "release": spec.release,
            "created": created.isoformat(),
            "kind": kind,
            "release_dir": spec.release_dir,
            "link": spec.link,
            "directories": list(spec.directories),
            "sqlite": list(spec.sqlite),
            "postgresql": list(shown),
            "rows": {database: dict(tables) for database, tables in rows.items()},
            "members": [{name: getattr(member, name) for name in _FIELDS} for member in members],
        }
    )


def parse(raw: bytes, *, path: Path, sha256: str, size: int) -> Contents:
    """Return what a manifest says; raise CorruptBackup when it says anything this version does not understand."""
    try:
        value = json.loads(raw)
        if value["format"] != FORMAT:
            raise CorruptBackup(f"{path.name} has format {value['format']!r}, this version reads {FORMAT}")
        if value.get("unchecked"):
            raise CorruptBackup(
                f"{path.name} is a raw copy of what a rollback found, and nobody checked it; it cannot be restored as a"
                " backup. Unpack it beside the environment and take from it by hand what you need"
            )
        contents = Contents(
            path=path,
            sha256=sha256,
            size=size,
            component=_text(value["component"]),
            environment=_text(value["environment"]),
            release=_text(value["release"]),
            created=_text(value["created"]),
            release_dir=_text(value["release_dir"]),
            link=_text(value["link"]),
            kind=_one_of(value["kind"], ("backup", "undo")),
            directories=_texts(value["directories"]),
            sqlite=_texts(value["sqlite"]),
            postgresql=_texts(value["postgresql"]),
            members=tuple(_member(item) for item in value["members"]),
            rows=_rows(value["rows"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CorruptBackup(f"the manifest in {path.name} is not one of ours ({error!r}); use another backup")
    _check_whole(contents)
    return contents


def _check_whole(contents: Contents) -> None:
    check_tree((member.path, member.type) for member in contents.members)
    types = {member.path: member.type for member in contents.members}
    wanted = {**dict.fromkeys(contents.trees, "directory"), **dict.fromkeys(contents.sqlite, "file")}
    wanted[contents.link] = "symlink"
    wanted.update((f"postgresql/{number}.dump", "dump") for number in range(len(contents.postgresql)))
    for path, kind in wanted.items():
        if types.get(path) != kind:
            raise CorruptBackup(f"{contents.path.name} lacks the {kind} {path!a}; use another backup")
    tops = tuple(f"{tree}/" for tree in contents.trees)
    for path, kind in types.items():
        if path not in wanted and (kind == "dump" or not path.startswith(tops)):
            raise CorruptBackup(f"{contents.path.name} holds {path!a}, which is no part of a backup; use another")


def _member(item: dict[str, Any]) -> Member:
    member = Member(**item)
    _one_of(member.type, _TYPES)
    _text(member.path)
    if any(type(number) is not int or number < 0 for number in (member.size, member.mode)):
        raise ValueError(f"size or mode of {member.path!r}")
    if type(member.mtime_ns) is not int or abs(member.mtime_ns) >= 2**63 or member.mode > 0o7777:
        raise ValueError(f"time or mode of {member.path!r}")
    if member.type == "directory":
        if member.size or member.sha256:
            raise ValueError(f"the directory {member.path!r} has bytes")
    elif not _SHA256.fullmatch(member.sha256):
        raise ValueError(f"sha256 of {member.path!r}")
    if (member.type == "symlink") != bool(_text(member.target, empty=True)):
        raise ValueError(f"target of {member.path!r}")
    return member


def _rows(value: dict[str, dict[str, int]]) -> Rows:
    rows = {_text(name): {_text(table): count for table, count in tables.items()} for name, tables in value.items()}
    if any(type(count) is not int or count < 0 for tables in rows.values() for count in tables.values()):
        raise ValueError("row counts")
    return rows


def _text(value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty) or "\0" in value:
        raise ValueError(f"{value!r} is not a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return tuple(_text(item) for item in value)


def _one_of(value: Any, known: Sequence[str]) -> Any:
    if value not in known:
        raise ValueError(f"{value!r} is not one of {', '.join(known)}")
    return value
