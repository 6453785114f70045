"""What the tour computes by itself, so as not to believe the product: digests of the disk, an image, a backup."""

import hashlib
import os
import struct
import zipfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def tree_digest(folder: Path) -> str:
    """Return one sha256 over every file of a directory: its path and its bytes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def newest_backup(target: str) -> Path:
    """Return the newest backup of a target such as "dhash_production": the one that a rollback restored."""
    backups = Path(os.environ.get("GR_BACKUPS", ROOT / "backups"))
    return sorted(backups.glob(f"{target}_*.zip"))[-1]


def sha256_in(backup: Path, path: str) -> str:
    """Return the sha256 of a file as it stands in a backup."""
    with zipfile.ZipFile(backup) as archive, archive.open(f"root/{path}") as member:
        return hashlib.file_digest(member, "sha256").hexdigest()


def new_image(side: int = 32) -> bytes:
    """Return a PNG of random grey pixels, which no earlier post can have brought (the product has no image library)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + os.urandom(side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
