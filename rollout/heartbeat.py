"""Signs of life: a counter that changes, so that nobody has to compare clocks."""

from django.db.models import F
from django.utils import timezone

from rollout.models import Heartbeat


def beat(name: str) -> None:
    """Raise the counter of a name."""
    now = timezone.now()
    if not Heartbeat.objects.filter(name=name).update(counter=F("counter") + 1, at=now):
        Heartbeat.objects.get_or_create(name=name, defaults={"counter": 1, "at": now})


def age_s(name: str) -> float | None:
    """Return the seconds since the last sign of life, or None when there never was one."""
    row = Heartbeat.objects.filter(name=name).first()
    return (timezone.now() - row.at).total_seconds() if row else None
