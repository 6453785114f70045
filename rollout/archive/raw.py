"""The last way to keep what a rollback finds: files as they are, nothing checked; for hands, never for a restore."""

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import psycopg

from monitoring import canonical, storage
from rollout.archive import dump
from rollout.archive.container import STORED, Container, Head
from rollout.archive.deflate import compress, crc32
from rollout.archive.errors import BackupError
from rollout.archive.names import check_name
from rollout.archive.spec import FORMAT, MANIFEST, Member, Report
from rollout.archive.streams import CHUNK_BYTES, hashed, nowhere
from rollout.archive.tree import Entry, entry
from rollout.archive.writer import Log, Place, publish, reserved

SUFFIX = "_unchecked"
_LARGE_FROM = 0xF0000000  # may pass 4 GiB when packed badly
_FIELDS = tuple(field.name for field in fields(Member))


@dataclass(frozen=True, kw_only=True)
class RawSpec:
    """What to keep below `root`: `paths` are files, directories or links, each if it is there; `why` it is raw."""

    component: str
    environment: str
    release: str
    root: Path
    paths: tuple[str, ...]
    postgresql: tuple[str, ...]
    why: str


def save(spec: RawSpec, folder: Path, *, now: datetime, log: Log) -> tuple[Report, tuple[str, ...]]:
    """Copy what can be read, byte for byte, into a zip file in `folder`/undo; return it, and what is not whole in it.

    No database is opened and no file has to hold still. The manifest says `unchecked`, so nothing here restores it.
    Raises BackupError or OSError when the copy cannot be written; then nothing is left of it.
    """
    faults: list[str] = []
    with reserved(f"{spec.component}_{spec.environment}", folder, "undo", now, suffix=SUFFIX) as place:
        entries = {one.path: one for path in spec.paths for one in _entries(spec.root, path, faults)}
        entries |= {one.path: one for one in _dumps(spec, place, faults)}
        with place.partial.open("wb") as out:
            box = Container(out)
            members = [member for one in entries.values() if (member := _add(box, one, faults)) is not None]
            if not members:
                raise BackupError(f"nothing below {spec.root} could be read: {'; '.join(faults) or 'nothing is there'}")
            raw = _manifest(spec, place, members, faults)
            head = Head(name=MANIFEST, type="file", mode=0o600, mtime_ns=0)
            box.add(head, raw, method=STORED, crc=crc32(raw), size=len(raw))
            sha256 = box.finish()
            storage.sync_open(out)
        _read_back(place.partial, members)
        publish(place, sha256, folder)
    for fault in faults:
        log(f"not whole in the copy: {fault}")
    size = place.final.stat().st_size
    log(f"copied unchecked: {len(members)} members, {size} bytes, sha256 {sha256}: {place.final.name}")
    report = Report(path=place.final, sha256=sha256, size=size, members=len(members), rows={}, seconds=0.0)
    return report, tuple(faults)


def _entries(root: Path, path: str, faults: list[str]) -> Iterator[Entry]:
    """Yield a path and all below it; what cannot be described is a fault, not an end."""
    pending = [path]
    while pending:
        name = pending.pop()
        try:
            check_name(name)
            found = entry(root, name)
            found.target.encode()
            below = (
                sorted((one.name for one in found.source.iterdir()), reverse=True) if found.type == "directory" else []
            )
        except (BackupError, OSError, UnicodeError) as error:
            faults.append(_fault(name, error))
            continue
        yield found
        pending.extend(f"{name}/{child}" for child in below)


def _dumps(spec: RawSpec, place: Place, faults: list[str]) -> Iterator[Entry]:
    for number, url in enumerate(spec.postgresql):
        name, copy = f"postgresql/{number}.dump", place.scratch / f"{number}.dump"
        try:
            dump.pg_dump(url, copy)
            status = copy.stat()
        except (BackupError, OSError, psycopg.Error) as error:
            faults.append(_fault(name, error))
            continue
        yield Entry(path=name, source=copy, type="dump", size=status.st_size, mode=0o600, mtime_ns=status.st_mtime_ns)


def _add(box: Container, one: Entry, faults: list[str]) -> Member | None:
    """Put one entry in; None when nothing of it can be read. A full disk raises: that concerns the whole copy."""
    if one.type in ("directory", "symlink"):
        data = one.target.encode()
        member = _member(one, len(data), hashlib.sha256(data).hexdigest() if data else "")
        box.add(_head(member), data, method=STORED, crc=crc32(data), size=len(data))
        return member
    try:
        descriptor = os.open(one.source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        faults.append(_fault(one.path, error))
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as source:
        return _add_file(box, one, source, faults)


def _add_file(box: Container, one: Entry, source: BinaryIO, faults: list[str]) -> Member:
    """Put in what can be read of a file, up to the size it had: one that grows for ever must not keep us."""
    head, large = _head(_member(one, one.size, "")), one.size >= _LARGE_FROM
    digest, crc, size, packed_size = hashlib.sha256(), 0, 0, 0
    at = box.begin(head, large=large)
    while chunk := _read(source, min(CHUNK_BYTES, one.size - size), one, faults):
        digest.update(chunk)
        crc, size = crc32(chunk, crc), size + len(chunk)
        packed = compress(chunk, last=False)
        box.more(packed)
        packed_size += len(packed)
    packed = compress(b"")
    box.more(packed)
    box.end(head, at=at, large=large, crc=crc, packed_size=packed_size + len(packed), size=size)
    if size != one.size:
        faults.append(f"{one.path!a}: {size} of {one.size} bytes could be read")
    return _member(one, size, digest.hexdigest())


def _read(source: BinaryIO, size: int, one: Entry, faults: list[str]) -> bytes:
    try:
        return source.read(size)
    except OSError as error:
        faults.append(_fault(one.path, error))
        return b""


def _manifest(spec: RawSpec, place: Place, members: Iterable[Member], faults: list[str]) -> bytes:
    return canonical.dump_bytes(
        {
            "format": FORMAT,
            "kind": "undo",
            "unchecked": _plain(spec.why) or "raw",
            "faults": [_plain(fault) for fault in faults],
            "component": spec.component,
            "environment": spec.environment,
            "release": spec.release,
            "created": place.created.isoformat(),
            "members": [{name: getattr(member, name) for name in _FIELDS} for member in members],
        }
    )


def _read_back(path: Path, members: Iterable[Member]) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in members:
            if member.type == "directory":
                continue
            with archive.open(member.name) as incoming:
                if hashed(incoming, nowhere, member.size) != member.sha256:
                    raise BackupError(f"the copy of {member.path!a} cannot be read back; see whether the disk is sound")


def _head(member: Member) -> Head:
    return Head(name=member.name, type=member.type, mode=member.mode, mtime_ns=member.mtime_ns)


def _member(one: Entry, size: int, sha256: str) -> Member:
    return Member(
        path=one.path, type=one.type, size=size, sha256=sha256, mode=one.mode, mtime_ns=one.mtime_ns, target=one.target
    )


def _fault(path: str, error: Exception) -> str:
    return f"{path!a}: {getattr(error, 'strerror', None) or error}"


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
