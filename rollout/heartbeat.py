"""Signs of life: a counter that changes, judged by each who looks by his own clock: nobody compares clocks."""

import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from rollout.models import Heartbeat

# Seconds without a sign of life that are still well: pulse beats every 2, a worker is asked for a beat every 30.
LATE_S = {"pulse": 15.0, "worker": 120.0}


def of(kind: str, host: str = "") -> str:
    """Return the name under which the pulse or the workers of a host beat, of our own when none is given."""
    return f"{kind}@{host or settings.GR_HOST_ID}"


def beat(name: str) -> None:
    """Raise the counter of a name."""
    now = timezone.now()
    if not Heartbeat.objects.filter(name=name).update(counter=F("counter") + 1, at=now):
        Heartbeat.objects.get_or_create(name=name, defaults={"counter": 1, "at": now})


def forget(host: str) -> None:
    """Drop what is known of a host."""
    Heartbeat.objects.filter(name__in=[of(kind, host) for kind in LATE_S]).delete()


def counter(name: str) -> int:
    """Return the counter of a name; 0 when it never beat."""
    return Heartbeat.objects.filter(name=name).values_list("counter", flat=True).first() or 0


def age_s(name: str) -> float | None:
    """Return the seconds since the last sign of life by the wall clock, or None when there never was one."""
    row = Heartbeat.objects.filter(name=name).first()
    return (timezone.now() - row.at).total_seconds() if row else None


class Observer:
    """Remembers since when things stand unchanged, by the clock of this process: a wall clock may jump."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.seen: dict[str, tuple[object, float, float]] = {}  # key -> what stood there, since when, last looked at

    def age_s(self, key: str, sign: object, *, told_s: float = 0.0) -> float:
        """Return for how long `sign` has stood there.

        `told_s`, an age by the wall clock, is believed only where this process did not look: before its first look, and
        between two looks when the sign changed.
        """
        with self.lock:
            now = self.clock()
            old, since, looked = self.seen.get(key, (None, now, float("-inf")))
            if key not in self.seen or old != sign:
                since = now - min(max(told_s, 0.0), now - looked)
            self.seen[key] = (sign, since, now)
            return now - since


OBSERVER = Observer()


def ages(kind: str) -> dict[str, float]:
    """Return, for every host whose pulse or workers ever beat, the observed seconds since the last sign of life."""
    now, prefix = timezone.now(), f"{kind}@"
    return {
        row.name.removeprefix(prefix): OBSERVER.age_s(row.name, row.counter, told_s=(now - row.at).total_seconds())
        for row in Heartbeat.objects.filter(name__startswith=prefix)
    }
