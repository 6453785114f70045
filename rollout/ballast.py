"""Keeps 64 MiB of disk in reserve: given up so that an outcome can still be recorded on a full disk, then taken again.

GR_VAR has one, and GR_RUN_DIR another where it is a file system of its own: there the outcomes of steps are written.
While a reserve is gone and cannot be taken again, no new run begins; what runs may end, and a rollback may start.
"""

import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import OperationalError

from monitoring import storage

NAME = "ballast"
SIZE = 64 * 1024**2
# What must be free beside it, so that taking it again does not fill the disk at once.
SPARE = 64 * 1024**2
CHUNK_BYTES = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# The second: the index of the write-ahead log could not grow, so that not even reading is possible.
SQLITE_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})

log = logging.getLogger(__name__)


def path() -> Path:
    """Return the reserve that a runner gives up first: the one of the disk that its outcome is written to."""
    return paths()[0]


def paths() -> tuple[Path, ...]:
    """Return where the reserves stand, one a file system, that of the runner files first."""
    var, run = Path(settings.GR_VAR), Path(settings.GR_RUN_DIR)
    return (run / NAME, var / NAME) if _device(run) != _device(var) else (var / NAME,)


def for_runner() -> str:
    """Return what tells the runner, which imports nothing of ours, which files to remove, in this order."""
    return "\n".join(map(str, paths()))


def restore() -> bool:
    """Take each reserve that is not there and that there is room for; return whether all stand now."""
    return all([_restore(place) for place in paths()])


def stands() -> bool:
    """Say whether every reserve is there."""
    return all(map(_is_whole, paths()))


def release() -> bool:
    """Give all reserves up, since nobody knows which disk refused; return whether there was one."""
    return any([_release(place) for place in paths()])


def rescued(work: Callable[[], None]) -> None:
    """Do `work`; when the disk is full, give up the reserve and do it once more. It must be safe to do again.

    When the disk failed under the database this process ends: what it would commit next may stand on lost pages.
    """
    try:
        work()
    except (OSError, OperationalError) as error:
        if is_broken(error):
            storage.die_of_disk(f"the database: {error}")
        if not (is_full(error) and release()):
            raise
        work()


def is_full(error: BaseException | None) -> bool:
    """Say whether an exception, or one that it came from, tells of a full disk."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    if getattr(error, "sqlite_errorname", "") in SQLITE_FULL or getattr(error, "sqlstate", "") == "53100":
        return True
    return is_full(error.__cause__)  # Django's error stands before the driver's


def is_broken(error: BaseException) -> bool:
    """Say whether SQLite met an input/output error: a failed fsync among them, which must not be tried again."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return name.startswith("SQLITE_IOERR") and name not in SQLITE_FULL


def refusal() -> str:
    """Return why nothing may begin, in a sentence, or "" when the reserves stand or could be taken again."""
    return next((why for place in paths() if (why := _refusal(place))), "")


def _restore(place: Path) -> bool:
    if _is_whole(place):
        return True
    if _free(place) < SIZE + SPARE:
        return False
    temporary = place.with_name(f".{NAME}-{secrets.token_hex(4)}")
    try:
        _allocate(temporary)
        temporary.replace(place)
        storage.sync_directory(place.parent)
    except OSError as error:
        log.warning("the reserve %s of %d bytes cannot be taken: %s", place, SIZE, error)
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _release(place: Path) -> bool:
    try:
        place.unlink()
    except FileNotFoundError:
        return False
    log.critical("the disk is full: the reserve %s was given up", place)
    return True


def _refusal(place: Path) -> str:
    if _is_whole(place):
        return ""
    free = _free(place)
    if free >= SIZE + SPARE:
        return ""
    lacking = (SIZE + SPARE - free) // 1024**2 + 1
    return (
        f"The disk of {place.parent} is full and its reserve is used up: free {lacking} MiB or more. "
        "What runs may end, and a rollback may still start."
    )


def _is_whole(place: Path) -> bool:
    try:
        return place.stat().st_size == SIZE
    except OSError:
        return False


def _device(folder: Path) -> int:
    """Return the file system of a directory, or of the one that it will be made in."""
    return next(one for one in (folder, *folder.parents) if one.exists()).stat().st_dev


def _free(place: Path) -> int:
    return shutil.disk_usage(next(one for one in place.parents if one.exists())).free


def _allocate(temporary: Path) -> None:
    """Write a file whose blocks are really taken: a sparse one would give nothing back."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, SIZE)
        else:
            for _ in range(SIZE // CHUNK_BYTES):
                os.write(descriptor, os.urandom(CHUNK_BYTES))  # zeros may be compressed away
        storage.sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
