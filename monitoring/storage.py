"""Durable writes: a temporary file beside the target, fsync, rename, fsync of the directory, and only then the row.

Every file that matters goes this way, hashed while it streams. Whoever writes by another road (a zip writer, an
append) still syncs with `sync_open` and `sync_directory`, which never try a failed fsync again.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, NoReturn

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
# The beginning of the name of a file that is still being written; a sweep removes one that was left behind.
INCOMING = ".incoming-"
EX_IOERR = 74  # sysexits.h: what a process leaves with whose disk failed


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
    make_directory(root)
    temporary = root / f"{INCOMING}{secrets.token_hex(8)}"
    try:
        sha256, size = _write(temporary, chunks, limit)
        final = path_of(root, sha256)
        make_directory(final.parent)
        temporary.chmod(0o440)
        # also over a file that is there: it may be damaged, about to be swept, or not durable yet
        temporary.replace(final)
        sync_directory(final.parent)
        sync_directory(root)
    finally:
        temporary.unlink(missing_ok=True)
    return Stored(sha256=sha256, size=size, path=final)


def path_of(root: Path, sha256: str) -> Path:
    """Return where a file with that sha256 stands under `root`; what is no sha256, but a path, leads nowhere."""
    if not SHA256.fullmatch(sha256):
        return root / "no-sha256"
    return root / sha256[:2] / sha256


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` so that a reader, or a power cut, sees the old file or the whole new one."""
    with replacing(path, mode=mode) as out:
        out.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o600, over: bool = True) -> Iterator[IO[bytes]]:
    """Give a file to write; at the end of the block it is durable and stands at `path`, after an error nothing does.

    With `over=False` a file that is there is never replaced: raises FileExistsError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w+b") as out:
            yield out
            sync_open(out)
        if over:
            temporary.replace(path)
        else:
            name_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def name_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name, never over another; raise FileExistsError. `temporary` may be left beside it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then replace the empty file
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(path)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, so that their names survive a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sync_open(out: IO[bytes]) -> None:
    """Make what was written to an open file durable."""
    out.flush()
    sync_descriptor(out.fileno())


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (a rename is not, before this)."""
    if os.name == "nt":  # Windows has no descriptor for a directory
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Call fsync; when the disk fails this process ends, because a second call would lie.

    After a failed fsync Linux drops the bytes and says yes to the next one; whoever restarts us reads what is there.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno == errno.EIO:
            die_of_disk("fsync")
        raise


def die_of_disk(what: str) -> NoReturn:
    """End this process at once, without a handler that could go on as if the bytes were safe."""
    sys.stderr.write(f"{what}: the disk reports an input/output error; this process ends (exit code {EX_IOERR})\n")
    sys.stderr.flush()
    os._exit(EX_IOERR)


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
        sync_open(out)
    return digest.hexdigest(), size
