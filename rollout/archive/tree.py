"""Lists what stands in a directory, in a fixed order, without following any link."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rollout.archive.errors import BackupError
from rollout.archive.spec import MemberType


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file, directory or symlink on the disk; `path` is relative to the root, with forward slashes."""

    path: str
    source: Path
    type: MemberType
    size: int
    mode: int
    mtime_ns: int
    target: str = ""


def walk(root: Path, top: str) -> Iterator[Entry]:
    """Yield the directory `top` ("" for the root) and all in it, parents first; raise BackupError when it is none."""
    if not (root / top).is_dir() or (root / top).is_symlink():
        raise BackupError(f"{root / top} is not a directory; correct `backup` in component.toml or the live release")
    pending = [top]
    while pending:
        path = pending.pop()
        found = entry(root, path)
        yield found
        if found.type == "directory":
            with os.scandir(found.source) as listing:
                pending.extend(sorted((f"{path}/{item.name}".lstrip("/") for item in listing), reverse=True))


def entry(root: Path, path: str) -> Entry:
    """Describe one name below `root`; raise BackupError for sockets, devices and pipes, which no archive can hold."""
    source = root / path
    status = source.lstat()
    target, size = "", 0
    kind: MemberType
    if stat.S_ISREG(status.st_mode):
        kind, size = "file", status.st_size
    elif stat.S_ISDIR(status.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(status.st_mode):
        kind, target = "symlink", link_target(source)
        size = len(os.fsencode(target))
    else:
        raise BackupError(f"{source} is a socket, pipe or device; keep such files out of the saved directories")
    return Entry(
        path=path,
        source=source,
        type=kind,
        size=size,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        target=target,
    )


def link_target(path: Path) -> str:
    """Return the target of a symlink exactly as it is stored."""
    return os.readlink(path)  # noqa: PTH115 - Path.readlink would tidy it
