"""Opens a zip file only after its size, its count and its layout were found sane; nothing is unpacked here."""

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rollout.archive.errors import HostileArchive

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL_BYTES = 30
_ENCRYPTED = 0x1
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may be at most; bytes are unpacked bytes; `ratio` (unpacked to packed) None does not count."""

    members: int
    directory_bytes: int
    total_bytes: int
    ratio: int | None


@contextmanager
def open_zip(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose directory was judged first; raise HostileArchive, or zipfile.BadZipFile for no zip."""
    with path.open("rb") as source:
        count, size = _announced(source)
        if count > limits.members or size > limits.directory_bytes:
            raise HostileArchive(
                f"{path.name} lists {count} members in {size} bytes; at most {limits.members} are taken"
            )
        source.seek(0)
        with zipfile.ZipFile(source) as archive:
            _check(archive.infolist(), limits, path)
            yield archive


def _check(infos: list[zipfile.ZipInfo], limits: Limits, path: Path) -> None:
    total, end = 0, 0
    names: set[str] = set()
    for info in sorted(infos, key=lambda one: one.header_offset):
        name = ascii(info.orig_filename)
        if info.orig_filename in names:
            raise HostileArchive(f"{path.name} holds {name} twice; build it again")
        names.add(info.orig_filename)
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise HostileArchive(f"{name} in {path.name} is encrypted or packed in a rare way; use plain deflate")
        if info.header_offset < end:
            raise HostileArchive(f"{name} in {path.name} overlaps another member; build it again")
        end = info.header_offset + _LOCAL_BYTES + info.compress_size
        total += info.file_size
        if limits.ratio and info.file_size > max(_SMALL_BYTES, limits.ratio * info.compress_size):
            raise HostileArchive(f"{name} in {path.name} would grow more than {limits.ratio} times; it is refused")
    if total > limits.total_bytes:
        raise HostileArchive(f"{path.name} would unpack to {total} bytes; at most {limits.total_bytes} are taken")


def _announced(source: BinaryIO) -> tuple[int, int]:
    """Return how many members, in how many bytes, the end record of a zip file speaks of."""
    length = source.seek(0, os.SEEK_END)
    tail_at = max(0, length - (1 << 16) - _END.size - _LOCATOR.size)
    source.seek(tail_at)
    tail = source.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile("it has no end record")
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR.size
    if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
        _, _, offset, _ = _LOCATOR.unpack_from(tail, before)
        source.seek(min(offset, length))
        record = source.read(_END64.size)
        if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
            raise zipfile.BadZipFile("its 64-bit end record is not where it should be")
        count, size = _END64.unpack(record)[7:9]
    return count, size
