"""Sweeps what a crash left: files that no row names and temporary files, once they are a day old."""

import logging
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from monitoring import chain_watch, incidents, storage
from monitoring.models import Attachment, AuditEntry
from rollout import ballast, own_archive
from rollout.archive import writer
from rollout.models import Artifact

OLD = timedelta(hours=24)
# The beginning of the name of a file that is about to go; one that is found was left by a crash.
CONDEMNED = ".condemned-"
BROUGHT = ("artifact.attached", "incident.attached")

log = logging.getLogger(__name__)


def sweep(now: datetime) -> int:
    """Remove what is a day old and belongs to nothing; return how many files and folders went."""
    before = (now - OLD).timestamp()
    swept = _kept_files(Path(settings.GR_ARTIFACTS), Artifact, before)
    swept += _kept_files(incidents.attachment_root(), Attachment, before)
    return swept + sum(_remove(path) for path in _temporary() if _is_old(path, before))


def sweep_host(now: datetime) -> int:
    """Remove what stands on the disk of this host alone, and is as old; return how many files went."""
    before = (now - OLD).timestamp()
    return sum(_remove(path) for path in Path(settings.GR_RUN_DIR).glob(f".{ballast.NAME}-*") if _is_old(path, before))


def _temporary() -> Iterator[Path]:
    """Yield what is there only while something is written or rehearsed."""
    for root in (Path(settings.GR_ARTIFACTS), incidents.attachment_root()):
        yield from root.glob(f"{storage.INCOMING}*")
    for place in (Path(settings.FILE_UPLOAD_TEMP_DIR), Path(settings.GR_VAR) / "scratch"):
        yield from place.glob("*")
    yield from Path(settings.GR_VAR).glob(f".{ballast.NAME}-*")
    backups = Path(settings.GR_BACKUPS)
    for pattern in (".*.zip.partial", ".scratch-*"):
        yield from (*backups.glob(pattern), *(backups / writer.UNDO).glob(pattern))
    for place in (Path(settings.GR_VAR), backups):
        yield from place.glob(f"{own_archive.SCRATCH}*")


def _kept_files(root: Path, rows: type[Artifact] | type[Attachment], before: float) -> int:
    def is_named(sha256: str) -> bool:
        """Say whether a row names a file, or the audit: that was brought, and its row was edited."""
        told = AuditEntry.objects.filter(action__in=BROUGHT, body__contains=sha256)
        return rows._default_manager.filter(sha256=sha256).exists() or told.exists()

    for left in root.glob(f"??/{CONDEMNED}*"):
        _judge(left, is_named, before)
    named = set(rows._default_manager.values_list("sha256", flat=True))
    found = [path for path in root.glob("??/*") if len(path.name) == 64 and path.name not in named]
    found = [path for path in found if _is_old(path, before)]
    if not found or not chain_watch.passed().ok:
        return 0  # somebody may have written over what tells of one
    return sum(_condemn(path, is_named, before) for path in found)


def _condemn(path: Path, is_named: Callable[[str], bool], before: float) -> bool:
    """Take the name away before the last look: the same bytes may be brought again, and named, at this moment."""
    condemned = path.with_name(f"{CONDEMNED}{path.name}")
    try:
        path.rename(condemned)
    except FileNotFoundError:
        return False  # another host sweeps too
    return _judge(condemned, is_named, before)


def _judge(condemned: Path, is_named: Callable[[str], bool], before: float) -> bool:
    """Remove a file that nobody names; give it its name back when it is named by now, or was brought meanwhile."""
    sha256 = condemned.name.removeprefix(CONDEMNED)
    if _is_old(condemned, before) and not is_named(sha256):
        return _remove(condemned)
    final = condemned.with_name(sha256)
    if final.exists():
        return _remove(condemned)  # the same bytes came again after the name was taken away
    condemned.rename(final)
    storage.sync_directory(final.parent)
    return False


def _is_old(path: Path, before: float) -> bool:
    try:
        return path.lstat().st_mtime < before
    except FileNotFoundError:
        return False


def _remove(path: Path) -> bool:
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        log.warning("%s belongs to nothing, but cannot be removed: %s", path, error)
        return False
    return True
