"""Durable writes: a temporary file beside the target, fsync, rename, fsync of the directory, and only then the row."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 20


class TooLargeError(ValueError):
    """The stream is longer than its limit; nothing was kept."""


class EmptyError(ValueError):
    """The stream holds no byte; nothing was kept."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file kept under its own sha256; `size` in bytes."""

    sha256: str
    size: int
    path: Path


def put(root: Path, chunks: Iterable[bytes], *, limit: int) -> Stored:
    """Keep a stream of bytes under `root`, named by its sha256, and return it once it is durable.

    `limit` in bytes. Raises TooLargeError or EmptyError; then nothing is left behind.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = root / f".incoming-{secrets.token_hex(8)}"
    try:
        sha256, size = _write(temporary, chunks, limit)
        final = path_of(root, sha256)
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not final.exists():
            temporary.chmod(0o440)
            temporary.rename(final)
            sync_directory(final.parent)
            sync_directory(root)
    finally:
        temporary.unlink(missing_ok=True)
    return Stored(sha256=sha256, size=size, path=final)


def path_of(root: Path, sha256: str) -> Path:
    """Return where a file with that sha256 stands under `root`."""
    return root / sha256[:2] / sha256


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` so that a reader, or a power cut, sees the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            _sync_file(out)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (a rename is not, before this)."""
    if os.name == "nt":  # Windows has no descriptor for a directory
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_chunks(source: BinaryIO) -> Iterable[bytes]:
    """Yield the rest of `source` in chunks of at most 1 MiB."""
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _write(path: Path, chunks: Iterable[bytes], limit: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as out:
        path.chmod(0o600)
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLargeError(f"more than {limit} bytes")
            digest.update(chunk)
            out.write(chunk)
        if size == 0:
            raise EmptyError("the file is empty")
        _sync_file(out)
    return digest.hexdigest(), size


def _sync_file(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())
