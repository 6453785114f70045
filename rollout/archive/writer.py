"""Makes a backup: one standard zip file, its sha256 beside it, both durable before they carry their names."""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitoring import storage
from rollout.archive import dump, manifest
from rollout.archive.errors import BackupError
from rollout.archive.names import check_name
from rollout.archive.pack import Packer
from rollout.archive.spec import BackupSpec, Kind, MemberType, Report
from rollout.archive.tree import Entry, entry, walk

Log = Callable[[str], None]
Progress = Callable[[int], None]
UNDO = "undo"
STALE_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class Place:
    """A name taken for this second: written as `partial`, beside copies in `scratch`, ends as `final`."""

    partial: Path
    final: Path
    scratch: Path
    created: datetime


@dataclass(frozen=True, kw_only=True)
class _Databases:
    entries: tuple[Entry, ...]
    rows: dict[str, dict[str, int]]


def create(
    spec: BackupSpec, folder: Path, *, now: datetime, kind: Kind = "backup", log: Log, progress: Progress
) -> Report:
    """Save what `spec` names into a new zip file in `folder` (an undo copy: in `folder`/undo); return what was saved.

    `progress` gets percent. Raises BackupError when a part is missing, cannot be saved faithfully, or changes
    meanwhile; then nothing is left that looks like a backup.
    """
    started = time.monotonic()
    with reserved(f"{spec.component}_{spec.environment}", folder, kind, now) as place:
        log(f"saving {spec.component} {spec.environment}, release {spec.release}, from {spec.root}")
        databases = _copy_databases(spec, place.scratch, log)
        entries = _entries(spec, databases)
        sha256 = _write(spec, place, kind, entries, databases, progress)
        publish(place, sha256, folder)
    report = Report(
        path=place.final,
        sha256=sha256,
        size=place.final.stat().st_size,
        members=len(entries),
        rows=databases.rows,
        seconds=round(time.monotonic() - started, 3),
    )
    log(f"saved {report.members} members, {report.size} bytes, sha256 {sha256}: {report.path.name}")
    return report


def sidecar_of(path: Path) -> Path:
    """Return where the sha256 of a backup stands."""
    return path.with_name(f"{path.name}.sha256")


def discard(path: Path) -> None:
    """Remove an archive and its .sha256, the archive first: without it the other is no backup."""
    path.unlink(missing_ok=True)
    sidecar_of(path).unlink(missing_ok=True)


@contextmanager
def reserved(stem: str, folder: Path, kind: Kind, now: datetime, *, suffix: str = "") -> Iterator[Place]:
    """Take a name with `stem` for a new archive in `folder` (an undo copy: in `folder`/undo); tidy up afterwards."""
    where = folder / UNDO if kind == "undo" else folder
    for directory in (folder, where):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    _sweep(where)
    place = _reserve(
        f"undo_{stem}" if kind == "undo" else stem, where, suffix, now.astimezone(UTC).replace(microsecond=0)
    )
    place.scratch.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place.scratch, ignore_errors=True)
        place.partial.unlink(missing_ok=True)


def _reserve(stem: str, where: Path, suffix: str, created: datetime) -> Place:
    while True:
        final = where / f"{stem}_{created:%Y%m%d_%H%M%S}{suffix}.zip"
        partial = where / f".{final.name}.partial"
        try:
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        else:
            if not final.exists():
                scratch = where / f".scratch-{secrets.token_hex(8)}"
                return Place(partial=partial, final=final, scratch=scratch, created=created)
            partial.unlink()
        time.sleep(1)  # the name carries whole seconds: the next one is free, or somebody else's again
        created += timedelta(seconds=1)


def _sweep(where: Path) -> None:
    """Remove what a killed backup left a day ago or earlier."""
    for left in (*where.glob(".*.zip.partial"), *where.glob(".scratch-*")):
        if left.exists() and time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _copy_databases(spec: BackupSpec, scratch: Path, log: Log) -> _Databases:
    entries: list[Entry] = []
    rows: dict[str, dict[str, int]] = {}
    for number, path in enumerate(spec.sqlite):
        copy = scratch / f"{number}.sqlite3"
        dump.sqlite_copy(spec.root / path, copy)
        live = entry(spec.root, path)
        rows[path] = dump.row_counts(copy)
        log(f"copied {path}: {sum(rows[path].values())} rows in {len(rows[path])} tables, integrity ok")
        entries.append(_entry_of_copy(path, copy, "file", live.mode, live.mtime_ns))
    for number, url in enumerate(spec.postgresql):
        path, copy = f"postgresql/{number}.dump", scratch / f"{number}.dump"
        rows[path] = dump.pg_dump(url, copy)
        log(f"dumped {dump.without_password(url)}: {sum(rows[path].values())} rows in {len(rows[path])} tables")
        entries.append(_entry_of_copy(path, copy, "dump", 0o600, copy.stat().st_mtime_ns))
    return _Databases(entries=tuple(entries), rows=rows)


def _entry_of_copy(path: str, copy: Path, kind: MemberType, mode: int, mtime_ns: int) -> Entry:
    os.utime(copy, ns=(mtime_ns, mtime_ns))
    return Entry(path=path, source=copy, type=kind, size=copy.stat().st_size, mode=mode, mtime_ns=mtime_ns)


def _entries(spec: BackupSpec, databases: _Databases) -> list[Entry]:
    if (
        not (spec.root / spec.link).is_symlink()
        or (spec.root / spec.link).resolve() != (spec.root / spec.release_dir).resolve()
    ):
        raise BackupError(f"{spec.root / spec.link} is not a link to {spec.release_dir}; see which release is live")
    found = [item for tree in spec.trees for item in walk(spec.root, tree)]
    link = entry(spec.root, spec.link)
    for item in (*found, link):
        check_name(item.path)
    return [*found, *databases.entries, link]


def _write(
    spec: BackupSpec, place: Place, kind: Kind, entries: list[Entry], databases: _Databases, progress: Progress
) -> str:
    """Write all entries and the manifest, durably; return the sha256 of the file."""
    total = max(1, sum(item.size for item in entries))
    with place.partial.open("wb") as out:
        packer = Packer(out, lambda done: progress(min(99, done * 100 // total)))
        members = packer.add_all(entries)
        shown = [dump.without_password(url) for url in spec.postgresql]
        sha256 = packer.finish(
            manifest.build(spec, members, databases.rows, created=place.created, kind=kind, shown=shown)
        )
        storage.sync_open(out)
    progress(100)
    return sha256


def publish(place: Place, sha256: str, folder: Path) -> None:
    """Give the finished file its name, never over another, then write its sha256 as `sha256sum -c` reads it.

    Raises BackupError or OSError; then neither of the two is left.
    """
    place.partial.chmod(0o600)
    try:
        storage.name_new(place.partial, place.final)
    except FileExistsError:
        raise BackupError(f"{place.final} appeared while the backup was written; try again")
    try:
        place.partial.unlink(missing_ok=True)
        storage.sync_directory(place.final.parent)
        shown = place.final.relative_to(folder.parent).as_posix()
        storage.write_atomic(sidecar_of(place.final), f"{sha256}  {shown}\n".encode())
        storage.sync_directory(folder)
    except BaseException:
        discard(place.final)
        raise
