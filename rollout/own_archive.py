"""The zip file of a whole installation: members with their sha256 in a manifest, read back before it has its name."""

import hashlib
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from monitoring import storage
from rollout.archive.errors import BackupError

FORMAT = "guarded-rollout-installation-1"
MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 28
# The beginning of the name of the directory where one is made; one so old (seconds) was left by a killed backup.
SCRATCH, STALE_S = ".own-backup-", 12 * 3600
# The first parts of the members' names: where each goes when it is restored.
DATABASE, VAR, STEPS, KEYS, BACKUPS = "database", "var", "steps", "keys", "backups"
PLACES = frozenset({DATABASE, VAR, STEPS, KEYS, BACKUPS})

# What a restore rests on, and how a copy of each kind of database begins.
FACTS = ("taken_at", "host", "vendor", "migrations", "audit_head")
BEGINS = {"sqlite": b"SQLite format 3\0", "postgresql": b"PGDMP"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file that goes into the archive."""

    name: str
    source: Path


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A verified archive: what its manifest tells, and its members by name with sha256 and size."""

    path: Path
    sha256: str
    facts: Mapping[str, Any]
    members: Mapping[str, tuple[str, int]]

    @property
    def size(self) -> int:
        """Return how many bytes all members have together."""
        return sum(size for _, size in self.members.values())

    def below(self, place: str) -> list[str]:
        """Return the names of the members of one place."""
        return [name for name in self.members if name.startswith(f"{place}/")]


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give a directory in `folder`, on the disk of the archive; what a killed backup left there is removed first."""
    for left in folder.glob(f"{SCRATCH}*"):
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write(dest: Path, parts: Iterable[Part], facts: Mapping[str, Any], *, scratch: Path) -> Archive:
    """Write an archive (0600) in `scratch`, read it back whole, and only then name it `dest`, where nothing is yet."""
    half = scratch / "archive.zip"
    with storage.replacing(half) as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            members = {part.name: _add(archive, part) for part in parts}
            document = {"format": FORMAT, **facts, "members": members}
            archive.writestr(MANIFEST, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False))
        out.flush()
        found = _verify(out, dest)
    storage.name_new(half, dest)
    storage.sync_directory(dest.parent)
    storage.write_atomic(sidecar_of(dest), f"{found.sha256}  {dest.name}\n".encode())
    return found


def verify(path: Path) -> Archive:
    """Read an archive whole and return what it holds; raise BackupError when any byte is not as it was written."""
    try:
        with path.open("rb") as source:
            archive = _verify(source, path)
        beside = sidecar_of(path)
        said = beside.read_text()[:64] if beside.exists() else archive.sha256
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}")
    if said != archive.sha256:
        raise BackupError(f"{path.name} has sha256 {archive.sha256}, {beside.name} says {said}; use another archive")
    return archive


def sidecar_of(path: Path) -> Path:
    """Return where the sha256 of an archive stands."""
    return path.with_name(f"{path.name}.sha256")


def unpack(archive: Archive, name: str, dest: Path, *, mode: int = 0o600) -> None:
    """Write one member to `dest`, durably, hashing it once more."""
    with zipfile.ZipFile(archive.path) as opened, opened.open(name) as incoming:
        storage.make_directory(dest.parent)
        with storage.replacing(dest, mode=mode) as out:
            if _pass_on(incoming, out) != archive.members[name]:
                raise BackupError(f"{name} changed in {archive.path} since it was verified")


def _add(archive: zipfile.ZipFile, part: Part) -> tuple[str, int]:
    info = zipfile.ZipInfo(part.name)
    info.external_attr = 0o600 << 16
    # artifacts and backups are archives already
    info.compress_type = zipfile.ZIP_STORED if part.source.suffix == ".zip" else zipfile.ZIP_DEFLATED
    with part.source.open("rb") as source, archive.open(info, "w", force_zip64=True) as out:
        return _pass_on(source, out)


def _pass_on(source: IO[bytes], out: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(storage.CHUNK_BYTES):
        digest.update(chunk)
        out.write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _verify(source: IO[bytes], path: Path) -> Archive:
    source.seek(0)
    sha256 = hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type] # a file, open for reading
    try:
        with zipfile.ZipFile(source) as archive:
            document = _manifest(archive)
            members = {name: (str(one[0]), int(one[1])) for name, one in document.pop("members").items()}
            _check_names([*members, MANIFEST], archive.namelist())
            _check_contents(archive, document, list(members))
            for name, expected in members.items():
                with archive.open(name) as incoming:
                    if _digest(incoming) != expected:
                        raise BackupError(f"{path.name}: {name} is not as it was written")
    except BackupError:
        raise
    except Exception as error:  # a zip file can be broken in more ways than zipfile has names for
        raise BackupError(f"{path.name} cannot be read ({type(error).__name__}: {error}); use another archive")
    return Archive(path=path, sha256=sha256, facts=document, members=members)


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
        raise BackupError("its manifest is too long")
    document = dict(json.loads(archive.read(MANIFEST)))
    if document.get("format") != FORMAT:
        raise BackupError(f"this is no archive of an installation (expected format {FORMAT})")
    return document


def _check_names(expected: list[str], found: list[str]) -> None:
    if sorted(expected) != sorted(found):
        raise BackupError("it holds other members than its manifest names")
    for name in expected:
        parts = PurePosixPath(name).parts
        inside = name == MANIFEST or (len(parts) > 1 and parts[0] in PLACES)
        if not inside or name.startswith("/") or {"..", ""} & set(name.split("/")) or "\\" in name or "\0" in name:
            raise BackupError(f"{name!r} is no name of a member")


def _check_contents(archive: zipfile.ZipFile, facts: Mapping[str, Any], names: list[str]) -> None:
    """Raise BackupError unless all is there that a restore needs; found out later, the old database is away already."""
    missing = [name for name in FACTS if name not in facts]
    if missing:
        raise BackupError(f"its manifest does not tell {', '.join(missing)}; it was not made by backup_self")
    databases = [name for name in names if name.startswith(f"{DATABASE}/")]
    begins = BEGINS.get(str(facts["vendor"]))
    if len(databases) != 1 or begins is None:
        raise BackupError(f"it holds {len(databases)} databases of {facts['vendor']}, where one is expected")
    with archive.open(databases[0]) as incoming:
        if incoming.read(len(begins)) != begins:
            raise BackupError(f"{databases[0]} is no database of {facts['vendor']}")


def _digest(incoming: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(incoming):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _chunks(incoming: IO[bytes]) -> Iterator[bytes]:
    while chunk := incoming.read(storage.CHUNK_BYTES):
        yield chunk
