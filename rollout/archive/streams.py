"""Moves bytes out of an archive in chunks, hashing every one of them."""

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from monitoring import storage
from rollout.archive.errors import CorruptBackup

CHUNK_BYTES = 1 << 20
SYNC_THREADS = 8  # they wait for the disk, not for a core


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
    """Write a stream to a file that must not exist, with mode and time; raise CorruptBackup on other bytes.

    Not durable before `sync_files`: to sync many files after all were written is several times as quick.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(dest, flags, 0o600), "wb") as out:
        if hashed(incoming, out.write, size) != sha256:
            raise CorruptBackup(f"the bytes for {dest.name} changed since they were verified; use another archive")
        out.flush()
        dest.chmod(mode)
        if mtime_ns is not None:
            os.utime(dest, ns=(mtime_ns, mtime_ns))


def sync_files(paths: Iterable[Path]) -> None:
    """Make the bytes of files durable; raise OSError when the disk refuses one."""
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        for _ in pool.map(_sync, paths):
            pass


def _sync(path: Path) -> None:
    # Windows syncs only what is open for writing; elsewhere a read-only file must be opened for reading
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        storage.sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
