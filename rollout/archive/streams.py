"""Moves bytes out of an archive in chunks, hashing every one of them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from rollout.archive.errors import CorruptBackup

CHUNK_BYTES = 1 << 20


def hashed(incoming: IO[bytes], keep: Callable[[bytes], object], size: int) -> str:
    """Return the sha256 of a stream of `size` bytes ("" when it has more or fewer), handing each chunk to `keep`."""
    digest, left = hashlib.sha256(), size
    while chunk := incoming.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            return ""
        digest.update(chunk)
        keep(chunk)
    return digest.hexdigest() if left == 0 else ""


def nowhere(chunk: bytes) -> None:
    """Drop a chunk that was only to be hashed."""


def write_new(dest: Path, incoming: IO[bytes], *, size: int, sha256: str, mode: int, mtime_ns: int | None) -> None:
    """Write a stream to a file that must not exist, durably, with mode and time; raise CorruptBackup on other bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(dest, flags, 0o600), "wb") as out:
        if hashed(incoming, out.write, size) != sha256:
            raise CorruptBackup(f"the bytes for {dest.name} changed since they were verified; use another archive")
        out.flush()
        dest.chmod(mode)
        if mtime_ns is not None:
            os.utime(dest, ns=(mtime_ns, mtime_ns))
        os.fsync(out.fileno())
