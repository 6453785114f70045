"""Small disks of a test's own: an ext4 whose power can be cut, a tmpfs that fills, a read-only view. Root only."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import lacks

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = (2).to_bytes(4, "little")  # as a power cut: not even the journal is written out
CLONE_NEWNS = 0x00020000
MIB = 1024**2


def require(*tools: str) -> None:
    """Skip loudly unless this is root on a Linux that can mount."""
    if os.geteuid() != 0:
        lacks("root", "only root can mount a disk of its own")
    for tool in ("mount", "umount", *tools):
        if shutil.which(tool) is None:
            lacks(tool, f"{tool} is not on the PATH")
    own_mounts()


@cache
def own_mounts() -> None:
    """Give this process mounts of its own: another test's copy of one of them would keep its disk busy."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        lacks("root", f"no mounts of its own: {os.strerror(ctypes.get_errno())}")
    call("mount", "--make-rprivate", "/")


def call(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")


def make_image(image: Path, mib: int) -> None:
    """Make an empty ext4 in a file."""
    with image.open("wb") as out:
        out.truncate(mib * MIB)
    call("mkfs.ext4", "-q", "-F", "-m", "0", str(image))


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount an image by a loop device; both are gone afterwards, whatever happened."""
    place.mkdir(exist_ok=True)
    try:
        call("mount", "-o", "loop", str(image), str(place))
    except OSError as error:
        lacks("loop", f"an image cannot be mounted here: {error}")
    try:
        yield place
    finally:
        unmount(place)


@contextlib.contextmanager
def tmpfs(place: Path, mib: int) -> Iterator[Path]:
    """Mount a file system in memory that holds so much and no more."""
    place.mkdir(exist_ok=True)
    try:
        call("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(place))
    except OSError as error:
        lacks("tmpfs", f"none can be mounted here: {error}")
    try:
        yield place
    finally:
        unmount(place)


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[Path]:
    """Make a directory (or a file) read-only for everybody, root too, by a bind mount over itself."""
    call("mount", "--bind", str(place), str(place))
    try:
        call("mount", "-o", "remount,ro,bind", str(place))
        yield place
    finally:
        unmount(place)


def cut_power(place: Path) -> None:
    """Stop a mounted ext4 at once: what was not written out by now never is."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NOLOGFLUSH)
    finally:
        os.close(descriptor)


def unmount(place: Path) -> None:
    """Unmount, waiting a moment for whoever still holds it, then without asking."""
    for _ in range(50):
        if subprocess.run(["umount", str(place)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(place)], capture_output=True)
    raise OSError(f"{place} was still in use after 5 s; it was unmounted nevertheless")


def fill_up(place: Path, *, leave: int = 0) -> Path:
    """Fill a disk with one file, but for `leave` bytes."""
    free = shutil.disk_usage(place).free - leave
    filler = place / "filler"
    with filler.open("wb") as out, contextlib.suppress(OSError):
        os.posix_fallocate(out.fileno(), 0, max(free, 1))
    return filler
