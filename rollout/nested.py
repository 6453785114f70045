"""Opens an archive that stands inside a release, one level deep and within limits, so that it can be looked through."""

import gzip
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rollout.archive.errors import BackupError
from rollout.archive.limits import Limits, open_zip
from rollout.archive.streams import CHUNK_BYTES

ZIPS = (".zip", ".jar", ".war", ".whl", ".egg")
GZIPPED = (".tar.gz", ".tgz")
TARS = (".tar", *GZIPPED)
BROKEN = (
    BackupError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
_SMALL_BYTES = 1 << 20


class Unscannable(Exception):
    """This archive is hostile, broken, encrypted, too large, or holds another archive."""


class _Bounded:
    """Reads a stream that may turn out longer than is allowed."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile, limit_bytes: int) -> None:
        self.source, self.left = source, limit_bytes

    def read(self, size: int) -> bytes:
        data = self.source.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise Unscannable
        return data


def is_archive(name: str) -> bool:
    """Say whether a file is an archive by its name."""
    return name.casefold().endswith((*ZIPS, *TARS))


def files(name: str, incoming: IO[bytes], limits: Limits) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, unpacked bytes and content of every file in an archive; raise Unscannable, perhaps after some."""
    with tempfile.TemporaryDirectory(prefix="gr-scan-") as folder:
        copy = Path(folder) / "archive"
        with copy.open("wb") as outgoing:
            while piece := incoming.read(CHUNK_BYTES):
                outgoing.write(piece)
        try:
            opened = _in_tar(copy, limits, name) if name.casefold().endswith(TARS) else _in_zip(copy, limits)
            for inner, size, content in opened:
                if is_archive(inner):
                    raise Unscannable
                yield inner, size, content
        except BROKEN as error:
            raise Unscannable from error


def _in_zip(path: Path, limits: Limits) -> Iterator[tuple[str, int, IO[bytes]]]:
    with open_zip(path, limits) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as content:
                    yield info.orig_filename, info.file_size, content


def _in_tar(path: Path, limits: Limits, name: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    gzipped = name.casefold().endswith(GZIPPED)
    grown = max(_SMALL_BYTES, (limits.ratio or 1) * path.stat().st_size)
    with gzip.open(path) if gzipped else path.open("rb") as plain:
        bounded = _Bounded(plain, min(grown, limits.total_bytes + limits.directory_bytes))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload] # reads only
            left = limits.total_bytes
            for count, member in enumerate(archive, start=1):
                left -= member.size
                if count > limits.members or left < 0:
                    raise Unscannable
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, member.size, content
