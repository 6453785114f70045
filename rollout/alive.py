"""The shared lock that every process of ours holds while it lives; a restore takes it for itself alone.

The kernel lets go of it with the process, however that ends, and forked children hold it as well; the runner of a step,
which survives its worker, does not. Between hosts it holds only where their shared file system passes locks on.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from rollout import detached

NAME = "alive.lock"
RESTORING = "This installation is being restored from a backup of itself. Try again when that is done."
UNSEEN = "processes that cannot be seen from here: of another container, host or account"
SHOWN = 80

log = logging.getLogger(__name__)
_held: dict[Path, int] = {}


class RestoringError(ImproperlyConfigured):
    """This installation is being restored, or was not restored to the end."""


class HeldError(RuntimeError):
    """Other processes of this installation live."""


def path() -> Path:
    """Return where the lock stands."""
    return Path(settings.GR_VAR) / NAME


def hold() -> None:
    """Hold the lock, with others, until this process ends; raise RestoringError while a restore has it."""
    place = path()
    if place in _held:
        return
    descriptor = _take(place)
    if descriptor is not None:
        _held[place] = descriptor


@contextmanager
def holding() -> Iterator[None]:
    """Hold the lock, with others, for the block; raise RestoringError while a restore has it."""
    descriptor = _take(path())
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock without any other; raise HeldError, which names the processes that hold it."""
    descriptor = os.open(path(), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take_alone(descriptor)
        yield
    finally:
        os.close(descriptor)


def holders() -> list[str]:
    """Return the other processes that have the lock open, by id and command, as far as /proc tells us."""
    wanted, found = path().stat(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) != os.getpid() and _has_open(process, wanted):
                found.append((int(process.name), _command(process)))
    return [f"pid {pid} ({command})" for pid, command in sorted(found)]


def _take_alone(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found = "; ".join(holders()) or UNSEEN
        raise HeldError(f"This installation is running: {found}. Stop every process of it first, the web process too.")
    except OSError as error:
        log.warning("%s takes no lock; only signs of life can be listened to: %s", path(), error)


def _take(place: Path) -> int | None:
    """Return the descriptor that holds the lock; None where there can be none, which must stop nobody."""
    try:
        # for reading: a shared lock needs no more, and the lock may be another account's
        descriptor = os.open(place, os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError as error:
        log.warning("%s cannot be held, a restore would not see this process: %s", place, error)
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RestoringError(RESTORING)
    except OSError as error:
        os.close(descriptor)
        log.warning("%s takes no lock, a restore would not see this process: %s", place, error)
        return None
    return descriptor


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    return any(detached.is_same(entry, wanted) for entry in (process / "fd").iterdir())


def _command(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    text = " ".join(word for word in words if word)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
