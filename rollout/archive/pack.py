"""Puts members into a standard zip file, hashing what it reads."""

import hashlib
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from rollout.archive.spec import MANIFEST, Member
from rollout.archive.tree import Entry

CHUNK_BYTES = 1 << 20
EPOCH_1980 = 315_532_800
LAST_2107 = 4_354_819_198


class Packer:
    """A zip file being written."""

    def __init__(self, out: BinaryIO, progress: Callable[[int], None]) -> None:
        """Write to `out`; `progress` gets the bytes read so far."""
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        self._progress = progress
        self._done = 0

    def add(self, entry: Entry) -> Member:
        """Put one file, directory or symlink into the archive and return its description."""
        digest = hashlib.sha256()
        info = self._info(member_of(entry, size=entry.size, sha256=""))
        size = 0
        if entry.type == "directory":
            self._zip.writestr(info, b"")
        elif entry.type == "symlink":
            data = entry.target.encode()
            digest.update(data)
            size = len(data)
            self._zip.writestr(info, data)
        else:
            size = self._copy(entry.source, info, digest)
        return member_of(entry, size=size, sha256="" if entry.type == "directory" else digest.hexdigest())

    def finish(self, manifest: bytes) -> None:
        """Put the manifest in and close the directory of the zip file."""
        info = zipfile.ZipInfo(MANIFEST, (1980, 1, 1, 0, 0, 0))
        info.external_attr = (stat.S_IFREG | 0o600) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        self._zip.writestr(info, manifest)
        self._zip.close()

    def _copy(self, source: Path, info: zipfile.ZipInfo, digest: "hashlib._Hash") -> int:
        size = 0
        with source.open("rb") as incoming, self._zip.open(info, "w") as out:
            while chunk := incoming.read(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
                size += len(chunk)
                self._done += len(chunk)
                self._progress(self._done)
        return size

    def _info(self, member: Member) -> zipfile.ZipInfo:
        seconds = min(max(member.mtime_ns // 10**9, EPOCH_1980), LAST_2107)
        info = zipfile.ZipInfo(member.name, time.gmtime(seconds)[:6])
        info.create_system = 3
        kinds = {"directory": stat.S_IFDIR, "symlink": stat.S_IFLNK}
        info.external_attr = (kinds.get(member.type, stat.S_IFREG) | member.mode) << 16
        info.external_attr |= 0x10 if member.type == "directory" else 0
        info.compress_type = zipfile.ZIP_DEFLATED if member.type in ("file", "dump") else zipfile.ZIP_STORED
        info.file_size = member.size
        return info


def member_of(entry: Entry, *, size: int, sha256: str) -> Member:
    """Return the description of an entry as it was read."""
    return Member(
        path=entry.path,
        type=entry.type,
        size=size,
        sha256=sha256,
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        target=entry.target,
    )
