"""Makes sure that nobody else is at this installation while it is restored: locks, and signs of life for other hosts.

A shared file system may not pass a lock on from one host to another, therefore the heartbeats are listened to as well.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from approvals.ledger import Refused
from monitoring import storage
from rollout import alive, runner
from rollout.models import Heartbeat

ALIVE_S = 30.0
# Longer than a living pulse needs to beat again (every 2 s, looked at once a second).
LISTEN_S = 4.0


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of up.py and that of the living, and refuse while any process of this installation lives."""
    path = Path(settings.GR_VAR) / "up.lock"
    storage.make_directory(path.parent)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("This installation is running (up.py holds its lock); stop it first.")
        try:
            with alive.alone():
                check_silent()
                yield
        except alive.HeldError as error:
            raise Refused(str(error))


def check_silent(sleep: Callable[[float], None] = time.sleep) -> None:
    """Refuse while a step runs or somebody beats: by the clock of this moment, and by what is counted meanwhile."""
    for held in (Path(settings.GR_RUN_DIR) / "locks").glob("*.lock"):
        if runner.is_held(held):
            raise Refused(f"A step is running ({held.stem}); wait until it has ended.")
    try:
        beats = _beats()
    except DatabaseError:
        return  # no tables yet
    stop = f"stop every process, and wait {ALIVE_S:.0f} s."
    # of both signs: a clock may stand behind the one that wrote it
    age_s = min((abs((timezone.now() - at).total_seconds()) for _, at in beats.values()), default=ALIVE_S)
    if age_s < ALIVE_S:
        raise Refused(f"A worker or pulse gave a sign of life {age_s:.0f} s ago; {stop}")
    sleep(LISTEN_S)
    heard = sorted(name for name, beat in _beats().items() if beats.get(name) != beat)
    if heard:
        raise Refused(f"A worker or pulse gives signs of life ({', '.join(heard)}); {stop}")


def _beats() -> dict[str, tuple[int, datetime]]:
    rows = Heartbeat.objects.filter(name__contains="@")
    return {name: (counter, at) for name, counter, at in rows.values_list("name", "counter", "at")}
