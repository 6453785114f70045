"""Reads a backup whole before anybody trusts it, and unpacks one that was read; refuses, never repairs."""

import hashlib
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

from monitoring import storage
from rollout.archive import manifest
from rollout.archive.errors import BackupError, CorruptBackup, HostileArchive, WrongEnvironment
from rollout.archive.limits import Limits, open_zip
from rollout.archive.spec import MANIFEST, Contents, Member
from rollout.archive.streams import hashed, nowhere, sync_files, write_new
from rollout.archive.writer import Progress, sidecar_of

MANIFEST_BYTES = 1 << 28
LIMITS = Limits(members=5_000_000, directory_bytes=1 << 30, total_bytes=1 << 42, ratio=None)
_SIDECAR = re.compile(r"([0-9a-f]{64})  ([^\n\0\\]+)\n")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    ValueError,
    OSError,
)


def verify(
    path: Path, *, sha256: str | None, component: str | None, environment: str | None, progress: Progress
) -> Contents:
    """Read every byte of a backup against its .sha256 file and its manifest; return what it holds. Writes nothing.

    `sha256` is what the caller expects, if known; `component` or `environment` None takes any. `progress` gets percent.
    Raises CorruptBackup, HostileArchive or WrongEnvironment.
    """
    if not path.is_file():
        raise BackupError(f"there is no backup {path}; `ls {path.parent}` shows those that there are")
    found = _check_digest(path, sha256)
    try:
        with open_zip(path, LIMITS) as archive:
            raw = _read_manifest(archive, path)
            contents = manifest.parse(raw, path=path, sha256=found, size=path.stat().st_size)
            _check_owner(contents, component, environment)
            _check_members(archive, contents, progress)
    except BackupError:
        raise
    except _BROKEN as error:
        raise _corrupt(path, f"it cannot be read ({error})")
    return contents


def peek(path: Path) -> Contents:
    """Return what a backup says of itself; its bytes are not read. Raises BackupError."""
    try:
        with open_zip(path, LIMITS) as archive:
            return manifest.parse(_read_manifest(archive, path), path=path, sha256="", size=path.stat().st_size)
    except BackupError:
        raise
    except _BROKEN as error:
        raise _corrupt(path, f"it cannot be read ({error})")


def quiet(done: int) -> None:
    """Take a progress that nobody watches."""


def extract(contents: Contents, into: Path, *, below: str | None = None) -> None:
    """Unpack a verified backup below `into`, or only the member `below` (with what is in it) as `into`; durably.

    Nothing of it may be there yet. Every byte is hashed again on the way. Raises CorruptBackup when the file changed
    since it was verified.
    """
    chosen = contents.members if below is None else contents.below(below)
    places = {member.path: _place(into, member.path, below) for member in chosen}
    directories = [member for member in chosen if member.type == "directory"]
    with contents.path.open("rb") as source, zipfile.ZipFile(source) as archive:
        for member in directories:
            places[member.path].mkdir(parents=True, exist_ok=True)
        for member in chosen:
            if member.type in ("file", "dump"):
                _extract_file(archive, contents, member, places[member.path])
    sync_files(places[member.path] for member in chosen if member.type in ("file", "dump"))
    for member in chosen:
        if member.type == "symlink":  # after the files, so that none can be written through one
            places[member.path].parent.mkdir(parents=True, exist_ok=True)
            places[member.path].symlink_to(member.target)
    for member in reversed(directories):  # children first: writing into a directory changes its time
        _seal_directory(places[member.path], member)


def _place(into: Path, path: str, below: str | None) -> Path:
    if below is None:
        return into / path
    return into / path[len(below) + 1 :] if path != below else into


def _extract_file(archive: zipfile.ZipFile, contents: Contents, member: Member, dest: Path) -> None:
    dest.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(member.name) as incoming:
            write_new(
                dest,
                incoming,
                size=member.size,
                sha256=member.sha256,
                mode=member.mode,
                mtime_ns=member.mtime_ns,
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise _corrupt(contents.path, f"{member.path!a} cannot be read ({error})")


def _seal_directory(path: Path, member: Member) -> None:
    path.chmod(member.mode)
    os.utime(path, ns=(member.mtime_ns, member.mtime_ns))
    storage.sync_directory(path)


def _check_digest(path: Path, expected: str | None) -> str:
    try:
        written = _SIDECAR.fullmatch(sidecar_of(path).read_bytes().decode())
    except FileNotFoundError:
        raise _corrupt(path, f"{sidecar_of(path).name} is missing beside it")
    except UnicodeDecodeError:
        written = None
    if written is None:
        raise _corrupt(path, f"{sidecar_of(path).name} is not one line as sha256sum writes it")
    if not f"/{path.absolute().as_posix()}".endswith(f"/{written[2]}"):
        raise _corrupt(path, f"{sidecar_of(path).name} is about {written[2]!a}, another file or place")
    with path.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    for name, digest in ((sidecar_of(path).name, written[1]), ("the recorded backup", expected)):
        if digest is not None and digest != found:
            raise _corrupt(path, f"its sha256 is {found}, but {name} says {digest}")
    return found


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> bytes:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError:
        raise _corrupt(path, f"it holds no {MANIFEST}")
    if info.file_size > MANIFEST_BYTES:
        raise HostileArchive(f"the manifest of {path.name} would be {info.file_size} bytes; more than {MANIFEST_BYTES}")
    return archive.read(info)


def _check_owner(contents: Contents, component: str | None, environment: str | None) -> None:
    wanted = (component or contents.component, environment or contents.environment)
    if wanted != (contents.component, contents.environment):
        script = f"./scripts/rollback_{contents.component}.sh --backup {contents.path} --env {contents.environment}"
        raise WrongEnvironment(
            f"{contents.path.name} is a backup of {contents.component} {contents.environment}, not of {wanted[0]}"
            f" {wanted[1]}; nothing was touched. If you mean {contents.environment}: {script}"
        )


def _check_members(archive: zipfile.ZipFile, contents: Contents, progress: Progress) -> None:
    listed = {member.name for member in contents.members} | {MANIFEST}
    present = {info.orig_filename for info in archive.infolist()}
    if listed != present:
        odd = sorted(listed ^ present)
        what = "lacks" if odd[0] in listed else "holds, unlisted,"
        raise _corrupt(contents.path, f"it {what} {odd[0]!a} ({len(odd)} such differences)")
    total, done = max(1, sum(member.size for member in contents.members)), 0
    for member in contents.members:
        if member.type != "directory":
            with archive.open(member.name) as incoming:
                _check_bytes(contents, member, incoming)
        elif archive.getinfo(member.name).file_size:
            raise _corrupt(contents.path, f"the directory {member.path!a} has bytes")
        done += member.size
        progress(done * 100 // total)


def _check_bytes(contents: Contents, member: Member, incoming: IO[bytes]) -> None:
    kept: list[bytes] = []
    keep = kept.append if member.type == "symlink" else nowhere
    if hashed(incoming, keep, member.size) != member.sha256:
        raise _corrupt(contents.path, f"the bytes of {member.path!a} are not those that were saved")
    if member.type == "symlink" and b"".join(kept) != member.target.encode():
        raise _corrupt(contents.path, f"the link {member.path!a} does not lead where the manifest says")


def _corrupt(path: Path, why: str) -> CorruptBackup:
    return CorruptBackup(f"{path.name} is not intact: {why}; nothing was touched. Use another backup")
