"""Writes the records of a zip file (PKWARE APPNOTE 6.3, ZIP64) in one pass, hashing the file as it grows.

zipfile cannot use another deflate, and goes back to write sizes, which would cost a second pass for the sha256.
"""

import hashlib
import stat
import struct
import time
from dataclasses import dataclass
from typing import BinaryIO

from rollout.archive.spec import MemberType

STORED, DEFLATED = 0, 8
ZIP64_FROM = 0xFFFFFFFF
ZIP64_COUNT = 0xFFFF
_ALL = 0xFFFFFFFF
_UTF8, _DESCRIPTOR = 0x800, 0x8
_MADE_BY = 3 << 8 | 45
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_FORMS = {"directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG, "dump": stat.S_IFREG}
_DOS_DIRECTORY = 0x10
_FIRST_TIME, _LAST_TIME = 315_532_800, 4_354_819_198  # what a DOS time can say: 1980 to 2107


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a zip entry says about itself beside its bytes."""

    name: str
    type: MemberType
    mode: int
    mtime_ns: int


class Container:
    """A zip file that is being written, from front to back."""

    def __init__(self, out: BinaryIO) -> None:
        """Write to `out`, which is at its beginning."""
        self._out = out
        self._digest = hashlib.sha256()
        self._offset = 0
        self._central: list[bytes] = []

    def add(self, head: Head, packed: bytes, *, method: int, crc: int, size: int) -> None:
        """Write one entry whose bytes are at hand; `size` is the unpacked one."""
        name, at = head.name.encode(), self._offset
        extra = _unix_time(head)
        sizes = (crc, len(packed), size)
        local = _LOCAL.pack(b"PK\3\4", 20, _UTF8, method, *_dos_time(head), *sizes, len(name), len(extra))
        self._write(local + name + extra + packed)
        self._list(head, name, method=method, flags=_UTF8, sizes=sizes, at=at)

    def begin(self, head: Head, *, large: bool) -> int:
        """Begin a deflated entry whose sizes come later; return its offset. `large`: it may pass 4 GiB."""
        name, at = head.name.encode(), self._offset
        extra = _unix_time(head) + (struct.pack("<2H2Q", 1, 16, 0, 0) if large else b"")
        sizes = (0, _ALL, _ALL) if large else (0, 0, 0)
        flags = _UTF8 | _DESCRIPTOR
        version = 45 if large else 20
        local = _LOCAL.pack(b"PK\3\4", version, flags, DEFLATED, *_dos_time(head), *sizes, len(name), len(extra))
        self._write(local + name + extra)
        return at

    def more(self, packed: bytes) -> None:
        """Write the next packed bytes of the entry that was begun."""
        self._write(packed)

    def end(self, head: Head, *, at: int, large: bool, crc: int, packed_size: int, size: int) -> None:
        """End the entry that was begun at `at` by telling its sizes."""
        self._write(struct.pack("<4sL2Q" if large else "<4s3L", b"PK\7\x08", crc, packed_size, size))
        sizes = (crc, packed_size, size)
        self._list(head, head.name.encode(), method=DEFLATED, flags=_UTF8 | _DESCRIPTOR, sizes=sizes, at=at)

    def finish(self) -> str:
        """Write the directory of the zip file; return the sha256 of the whole file."""
        at, count = self._offset, len(self._central)
        self._write(b"".join(self._central))
        size, end = self._offset - at, self._offset
        if count >= ZIP64_COUNT or at >= ZIP64_FROM or size >= ZIP64_FROM:
            self._write(_END64.pack(b"PK\6\6", _END64.size - 12, _MADE_BY, 45, 0, 0, count, count, size, at))
            self._write(_LOCATOR.pack(b"PK\6\7", 0, end, 1))
            count, size, at = 0xFFFF, _ALL, _ALL
        self._write(_END.pack(b"PK\5\6", 0, 0, count, count, size, at, 0))
        return self._digest.hexdigest()

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._digest.update(data)
        self._offset += len(data)

    def _list(self, head: Head, name: bytes, *, method: int, flags: int, sizes: tuple[int, int, int], at: int) -> None:
        crc, packed_size, size = sizes
        big = [number for number in (size, packed_size, at) if number >= ZIP64_FROM]
        shown = [_ALL if number >= ZIP64_FROM else number for number in (packed_size, size, at)]
        extra = _unix_time(head) + (struct.pack(f"<2H{len(big)}Q", 1, 8 * len(big), *big) if big else b"")
        version = 45 if big else 20
        attributes = (_FORMS[head.type] | head.mode) << 16 | (_DOS_DIRECTORY if head.type == "directory" else 0)
        lengths = (len(name), len(extra), 0, 0, 0)
        record = (b"PK\1\2", _MADE_BY, version, flags, method, *_dos_time(head), crc, *shown[:2], *lengths)
        self._central.append(_CENTRAL.pack(*record, attributes, shown[2]) + name + extra)


def _dos_time(head: Head) -> tuple[int, int]:
    at = time.gmtime(min(max(head.mtime_ns // 10**9, _FIRST_TIME), _LAST_TIME))
    return at[3] << 11 | at[4] << 5 | at[5] // 2, (at[0] - 1980) << 9 | at[1] << 5 | at[2]


def _unix_time(head: Head) -> bytes:
    """Return the extra field that tells unzip the time in UTC; nothing when 32 bits cannot say it."""
    seconds = head.mtime_ns // 10**9
    return struct.pack("<2HBl", 0x5455, 5, 1, seconds) if -(2**31) <= seconds < 2**31 else b""
