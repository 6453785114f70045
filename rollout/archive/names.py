"""Judges the paths inside an archive: refuses, never repairs."""

import re
import unicodedata
from collections.abc import Iterable

from rollout.archive.errors import HostileArchive

NAME_BYTES = 4096
PART_BYTES = 255
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Characters that make a path read otherwise than it is stored: bidirectional marks, embeddings, isolates.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_name(name: str) -> None:
    """Raise HostileArchive unless `name` is a plain relative path with forward slashes."""
    if fault := _fault(name):
        raise HostileArchive(f"the name {name!a} {fault}; rename it and build the archive again")


def check_tree(entries: Iterable[tuple[str, str]]) -> None:
    """Raise HostileArchive unless (path, type) pairs form one tree: no doubles, nothing below a file or link.

    Two names that differ only in case or in Unicode form count as doubles: on some disks they are one file.
    """
    types: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for path, kind in entries:
        check_name(path)
        if path in types:
            raise HostileArchive(f"the name {path!a} is in the archive twice; build the archive again")
        types[path] = kind
        _check_spelling(path, spelled)
    for path in types:
        for parent in parents(path):
            if types.get(parent, "directory") != "directory":
                raise HostileArchive(f"the name {path!a} lies below {parent!a}, which is no directory")


def parents(path: str) -> Iterable[str]:
    """Yield the directories above a relative path, nearest first."""
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path


def check_link(path: str, target: str) -> None:
    """Raise HostileArchive when a symlink at `path` could lead out of the tree that it stands in.

    `..` is taken only at the beginning of a target, where it climbs real directories: after another link it could
    climb higher than it seems.
    """
    parts = target.split("/")
    climbed = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    if not target or target.startswith("/") or _DRIVE.match(target) or "\\" in target or _character_fault(target):
        raise HostileArchive(f"the link {path!a} points to {target!a}; only plain relative targets are taken")
    if climbed > path.count("/") or ".." in parts[climbed:]:
        raise HostileArchive(f"the link {path!a} points to {target!a}, which may lie outside the archive")


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    if name.startswith("/") or _DRIVE.match(name):
        return "is absolute"
    if "\\" in name:
        return "holds a backslash"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "holds an empty part, '.' or '..'"
    return _character_fault(name)


def _character_fault(name: str) -> str:
    if _CONTROL.search(name):
        return "holds a control character"
    if not _BIDI.isdisjoint(name):
        return "holds a character that turns the writing direction"
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(encoded) > NAME_BYTES or any(len(part) > PART_BYTES for part in encoded.split(b"/")):
        return f"is longer than {PART_BYTES} bytes a part or {NAME_BYTES} in all"
    return ""


def _check_spelling(path: str, spelled: dict[str, str]) -> None:
    for name in (path, *parents(path)):
        folded = _folded(name)
        if name != path and spelled.get(folded) == name:
            return  # its parents were judged with it
        other = spelled.setdefault(folded, name)
        if other != name:
            raise HostileArchive(
                f"the names {other!a} and {name!a} are one name where case does not count; rename one of them"
            )


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
