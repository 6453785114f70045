"""Lists the files of a release archive that was accepted already, and reads a small one of them as text."""

import zipfile
import zlib
from pathlib import Path

TEXT_MAX_BYTES = 64 * 1024
BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)


def listing(path: Path) -> dict[str, tuple[int, int]]:
    """Return name -> (CRC-32, size) of every file, from the directory of the zip; empty when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {one.filename: (one.CRC, one.file_size) for one in archive.infolist() if not one.is_dir()}
    except BROKEN:
        return {}


def text_of(path: Path, name: str) -> str:
    """Return the beginning of one file as text; "" when it is not there or cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as source:
            return source.read(TEXT_MAX_BYTES).decode("utf-8", "replace")
    except BROKEN:
        return ""
