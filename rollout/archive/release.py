"""Judges a release archive that somebody uploaded, and unpacks it durably; refuses, never repairs."""

import secrets
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from monitoring import storage
from rollout.archive.errors import BackupError, HostileArchive
from rollout.archive.limits import Limits, open_zip
from rollout.archive.names import check_link, check_tree, parents
from rollout.archive.proof import compare
from rollout.archive.spec import Checked, Member, MemberType
from rollout.archive.streams import hashed, nowhere, sync_files, write_new

RELEASE_LIMITS = Limits(members=100_000, directory_bytes=1 << 26, total_bytes=1 << 32, ratio=200)
LINK_BYTES = 4096
_UNIX = 3
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)


class BrokenRelease(BackupError):
    """The file is no release archive that can be read whole."""


@dataclass(frozen=True, kw_only=True)
class ReleaseContents:
    """A release archive that was read whole; `members` are sorted, parents first; `size` is unpacked bytes."""

    path: Path
    sha256: str
    size: int
    members: tuple[Member, ...]


def inspect_release(path: Path, *, limits: Limits = RELEASE_LIMITS) -> ReleaseContents:
    """Read a release archive whole and return what it holds; writes nothing.

    Raises HostileArchive for names, links, sizes or layouts that no honest archive has, BrokenRelease for damage.
    """
    try:
        with open_zip(path, limits) as archive:
            found = [_member(archive, info) for info in archive.infolist()]
    except _BROKEN as error:
        raise BrokenRelease(f"{path.name} cannot be read as a zip file ({error}); build it and upload it again")
    check_tree((member.path, member.type) for member in found)
    members = {member.path: member for member in found}
    for name in [parent for member in found for parent in parents(member.path)]:
        members.setdefault(name, _directory(name))
    if not any(member.type == "file" for member in members.values()):
        raise BrokenRelease(f"{path.name} holds no file; its top level must be the content of the release directory")
    ordered = tuple(members[name] for name in sorted(members, key=lambda one: one.split("/")))
    return ReleaseContents(
        path=path, sha256=storage.sha256_of(path), size=sum(member.size for member in ordered), members=ordered
    )


def unpack_release(contents: ReleaseContents, into: Path) -> None:
    """Unpack an inspected release as the new directory `into`: written beside it, made durable, then renamed.

    Every byte is hashed again. Raises BackupError when `into` exists (see `release_differences`), CorruptBackup when
    the archive is no longer the one that was inspected. A killed try leaves only a `.staging-*` directory.
    """
    if into.exists() or into.is_symlink():
        raise BackupError(f"{into} exists already; a release directory is never written twice")
    into.parent.mkdir(parents=True, exist_ok=True)
    for left in into.parent.glob(f".staging-{into.name}-*"):
        shutil.rmtree(left)
    beside = into.with_name(f".staging-{into.name}-{secrets.token_hex(4)}")
    try:
        beside.mkdir(mode=0o755)
        _unpack(contents, beside)
        beside.rename(into)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    storage.sync_directory(into.parent)


def release_differences(contents: ReleaseContents, at: Path) -> tuple[Checked, ...]:
    """Return how the directory `at` differs from an inspected release: empty when equal, extra files included."""
    checked = compare(contents.members, at, top="")
    return tuple(one for one in checked if not one.equal)


def _unpack(contents: ReleaseContents, beside: Path) -> None:
    directories = [member for member in contents.members if member.type == "directory"]
    for member in directories:
        (beside / member.path).mkdir()
    with contents.path.open("rb") as source, zipfile.ZipFile(source) as archive:
        for member in contents.members:
            if member.type == "file":
                with archive.open(member.path) as incoming:
                    write_new(
                        beside / member.path,
                        incoming,
                        size=member.size,
                        sha256=member.sha256,
                        mode=member.mode,
                        mtime_ns=None,
                    )
    sync_files(beside / member.path for member in contents.members if member.type == "file")
    for member in contents.members:
        if member.type == "symlink":
            (beside / member.path).symlink_to(member.target)
    for member in reversed(directories):
        (beside / member.path).chmod(member.mode)
        storage.sync_directory(beside / member.path)
    beside.chmod(0o755)
    storage.sync_directory(beside)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = info.orig_filename
    kind, mode = _type_and_mode(info)
    if kind == "directory":
        if info.file_size:
            raise HostileArchive(f"the directory {name!a} has bytes; build the archive again")
        return _directory(name.removesuffix("/"))
    if kind == "symlink" and info.file_size > LINK_BYTES:
        raise HostileArchive(f"the link {name!a} is {info.file_size} bytes long; it is refused")
    kept: list[bytes] = []
    with archive.open(info) as incoming:
        sha256 = hashed(incoming, kept.append if kind == "symlink" else nowhere, info.file_size)
    if not sha256:
        raise HostileArchive(f"{name!a} is not as long as the archive says; build it again")
    target = b"".join(kept).decode()
    if kind == "symlink":
        check_link(name, target)
    return Member(path=name, type=kind, size=info.file_size, sha256=sha256, mode=mode, mtime_ns=0, target=target)


def _type_and_mode(info: zipfile.ZipInfo) -> tuple[MemberType, int]:
    """Return type and normalised mode: 0755 with an x bit, else 0644; never setuid, never writable by others."""
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    form = stat.S_IFMT(mode)
    if info.orig_filename.endswith("/") and form in (0, stat.S_IFDIR):
        return "directory", 0o755
    if form == stat.S_IFLNK:
        return "symlink", 0o777
    if form not in (0, stat.S_IFREG) or info.orig_filename.endswith("/"):
        raise HostileArchive(f"{info.orig_filename!a} is no file, directory or link; leave it out of the archive")
    return "file", 0o755 if mode & 0o111 else 0o644


def _directory(path: str) -> Member:
    return Member(path=path, type="directory", size=0, sha256="", mode=0o755, mtime_ns=0)
