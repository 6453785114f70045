"""The dashboard: what needs me, every target, what is under way, incidents, endings, the pulse; and the inbox."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring.models import Incident, Watch
from rollout import readiness, states
from rollout.models import Heartbeat, Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.views import needs

LATE = {"pulse": timedelta(seconds=readiness.PULSE_LATE_S), "worker": timedelta(seconds=readiness.WORKER_LATE_S)}
BUSY = frozenset({R.VALIDATING, R.QUEUED, *states.ACTIVE})
PATIENT = frozenset({R.DRAFT, R.WAITING, R.APPROVED})


@dataclass(frozen=True, kw_only=True)
class TargetTile:
    """One target: what is live there, what goes on there, whether it is locked, what its watch says."""

    target: Target
    rollout: Rollout | None
    watch: Watch | None
    waiting: int

    @property
    def state(self) -> str:
        """Return the one state that the tile shows."""
        if self.rollout is not None:
            decide = self.rollout.needs_decision and self.rollout.state == R.WATCHING
            return "NEEDS_DECISION" if decide else self.rollout.state
        return "LOCKED" if self.target.locked else "LIVE" if self.target.live_version else "no release yet"


@dataclass(frozen=True, kw_only=True)
class Beat:
    """A process that gives signs of life; `late` when the last one is old."""

    name: str
    at: datetime | None
    late: bool


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show what needs the reader, and how everything stands."""
    now = timezone.now()
    open_ones = list(_open())
    context = {
        "needs": needs.asked_once(request),
        "tiles": _tiles(open_ones),
        "under_way": [one for one in open_ones if one.state not in PATIENT],
        "waiting": [one for one in open_ones if one.state in PATIENT],
        "incidents": Incident.objects.exclude(state=Incident.State.CLOSED).order_by("severity", "-opened_at")[:8],
        "endings": Rollout.objects.with_places().filter(state__in=states.FINAL).order_by("-ended_at", "-pk")[:8],
        "beats": _beats(now),
    }
    return render(request, "rollout/dashboard.html", context)


@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """Show what waits for the reader, and nothing else."""
    return render(request, "rollout/inbox.html", {"needs": needs.asked_once(request)})


def _open() -> Any:
    runs = Prefetch("runs", queryset=Run.objects.select_related("watch").order_by("pk"))
    return Rollout.objects.with_places().exclude(state__in=states.FINAL).prefetch_related(runs).order_by("-pk")[:200]


def _tiles(open_ones: list[Rollout]) -> list[TargetTile]:
    tiles = []
    for target in Target.objects.filter(retired=False).select_related("component", "environment"):
        here = [one for one in open_ones if one.target_id == target.pk]
        busy = next((one for one in here if one.state in BUSY), None)
        watch = next((run.watch for run in reversed(busy.runs.all()) if run.watch), None) if busy else None
        waiting = sum(one.state in PATIENT for one in here)
        tiles.append(TargetTile(target=target, rollout=busy, watch=watch, waiting=waiting))
    return tiles


def _beats(now: datetime) -> list[Beat]:
    """Return pulse and worker with their last sign of life; one that never gave any is late."""
    seen = dict(Heartbeat.objects.values_list("name", "at"))
    return [
        Beat(name=name, at=seen.get(name), late=name not in seen or now - seen[name] > old)
        for name, old in LATE.items()
    ]
