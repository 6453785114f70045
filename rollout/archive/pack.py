"""Puts members into a zip file: reads, hashes and packs on all given threads, writes in order."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from rollout.archive.container import DEFLATED, STORED, Container, Head
from rollout.archive.deflate import compress, crc32
from rollout.archive.errors import BackupError
from rollout.archive.spec import MANIFEST, Member
from rollout.archive.tree import Entry

CHUNK_BYTES = 1 << 22
THREADS = min(4, (os.cpu_count() or 1) + 1)  # one more than cores: they wait for the disk as well
BATCH_MEMBERS = 128
AHEAD = 2 * THREADS  # batches or chunks in work: bounds the memory
_LARGE_FROM = 0xF0000000  # may pass 4 GiB when packed badly


@dataclass(frozen=True, kw_only=True)
class _Packed:
    member: Member
    data: bytes
    method: int
    crc: int


class Packer:
    """A zip file being filled."""

    def __init__(self, out: BinaryIO, progress: Callable[[int], None]) -> None:
        """Write to `out`; `progress` gets the bytes read so far."""
        self._container = Container(out)
        self._progress = progress
        self._done = 0

    def add_all(self, entries: Iterable[Entry]) -> list[Member]:
        """Put files, directories and symlinks into the archive, in order; return their descriptions.

        Raises BackupError when a file changes while it is read.
        """
        members: list[Member] = []
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                self._fill(pool, entries, members)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return members

    def finish(self, manifest: bytes) -> str:
        """Put the manifest in and close the zip file; return the sha256 of the whole file."""
        head = Head(name=MANIFEST, type="file", mode=0o600, mtime_ns=0)
        packed = compress(manifest)
        self._container.add(head, packed, method=DEFLATED, crc=crc32(manifest), size=len(manifest))
        return self._container.finish()

    def _fill(self, pool: ThreadPoolExecutor, entries: Iterable[Entry], members: list[Member]) -> None:
        pending: deque[Future[list[_Packed]]] = deque()
        for batch in _batches(entries):
            large = batch[0].size > CHUNK_BYTES
            while pending and (large or len(pending) >= AHEAD):
                members.extend(self._written(pending.popleft().result()))
            if large:
                members.append(self._add_large(pool, batch[0]))
            else:
                pending.append(pool.submit(pack_batch, batch))
        for future in pending:
            members.extend(self._written(future.result()))

    def _written(self, batch: list[_Packed]) -> Iterator[Member]:
        for one in batch:
            member = one.member
            self._container.add(_head(member), one.data, method=one.method, crc=one.crc, size=member.size)
            self._done += member.size
            yield member
        self._progress(self._done)

    def _add_large(self, pool: ThreadPoolExecutor, entry: Entry) -> Member:
        """Pack a big file in chunks side by side; each ends on a byte, so they can simply be joined."""
        digest, crc, size, packed_size = hashlib.sha256(), 0, 0, 0
        head, large = _head(_member(entry, "")), entry.size >= _LARGE_FROM
        at = self._container.begin(head, large=large)
        pending: deque[Future[bytes]] = deque()
        with entry.source.open("rb", buffering=0) as source:
            while chunk := _read(source.fileno(), CHUNK_BYTES):
                size += len(chunk)
                pending.append(pool.submit(compress, chunk, last=size >= entry.size))
                digest.update(chunk)
                crc = crc32(chunk, crc)
                while len(pending) >= AHEAD or (pending and size >= entry.size):
                    packed_size += self._more(pending.popleft().result())
                self._done += len(chunk)
                self._progress(self._done)
            _check_unchanged(entry, source.fileno(), size)
        self._container.end(head, at=at, large=large, crc=crc, packed_size=packed_size, size=size)
        return _member(entry, digest.hexdigest())

    def _more(self, packed: bytes) -> int:
        self._container.more(packed)
        return len(packed)


def pack_batch(entries: Sequence[Entry]) -> list[_Packed]:
    """Read, hash and pack small entries; runs on any thread."""
    return [_packed(entry) for entry in entries]


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Group entries in order: a large file alone, small ones up to a number and a size."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) >= BATCH_MEMBERS or size + entry.size > CHUNK_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _packed(entry: Entry) -> _Packed:
    if entry.type == "directory":
        return _Packed(member=_member(entry, ""), data=b"", method=STORED, crc=0)
    data = entry.target.encode() if entry.type == "symlink" else _read_whole(entry)
    member, crc = _member(entry, hashlib.sha256(data).hexdigest()), crc32(data)
    packed = compress(data) if entry.type != "symlink" and data else data
    if len(packed) >= len(data):
        return _Packed(member=member, data=data, method=STORED, crc=crc)
    return _Packed(member=member, data=packed, method=DEFLATED, crc=crc)


def _read_whole(entry: Entry) -> bytes:
    descriptor = os.open(entry.source, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        data = _read(descriptor, entry.size + 1)
        _check_unchanged(entry, descriptor, len(data))
    finally:
        os.close(descriptor)
    return data


def _read(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    if len(data) == size or not data:
        return data
    pieces = [data]
    left = size - len(data)
    while left and (more := os.read(descriptor, left)):
        pieces.append(more)
        left -= len(more)
    return b"".join(pieces)


def _check_unchanged(entry: Entry, descriptor: int, size: int) -> None:
    if (os.fstat(descriptor).st_mtime_ns, size) != (entry.mtime_ns, entry.size):
        raise BackupError(f"{entry.source} changed while it was being saved; stop whatever writes there and try again")


def _head(member: Member) -> Head:
    return Head(name=member.name, type=member.type, mode=member.mode, mtime_ns=member.mtime_ns)


def _member(entry: Entry, sha256: str) -> Member:
    return Member(
        path=entry.path,
        type=entry.type,
        size=0 if entry.type == "directory" else entry.size,
        sha256=sha256,
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        target=entry.target,
    )
