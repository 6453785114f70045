"""The dashboard: what needs me, every target, what is under way, incidents, endings, the pulse; and the inbox."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring.models import Incident, Watch
from rollout import access, heartbeat, hosts, states
from rollout.models import BreakGlass, Heartbeat, Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.views import needs

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
    open_ones = list(_open(request.user))
    context = {
        "needs": needs.asked_once(request),
        "tiles": _tiles(request.user, open_ones),
        "under_way": [one for one in open_ones if one.state not in PATIENT],
        "waiting": [one for one in open_ones if one.state in PATIENT],
        "incidents": access.known(request.user, Incident.objects.exclude(state=Incident.State.CLOSED)).order_by(
            "severity", "-opened_at"
        )[:8],
        "endings": _rollouts(request.user).filter(state__in=states.FINAL).order_by("-ended_at", "-pk")[:8],
        "held": access.known(
            request.user, BreakGlass.objects.holding().with_story().order_by("pk"), "rollout__target__component__name"
        ),
        "beats": _beats(now),
    }
    return render(request, "rollout/dashboard.html", context)


@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """Show what waits for the reader, and nothing else."""
    return render(request, "rollout/inbox.html", {"needs": needs.asked_once(request)})


def _rollouts(user: Any) -> Any:
    return access.known(user, Rollout.objects.with_places(), "target__component__name")


def _open(user: Any) -> Any:
    runs = Prefetch("runs", queryset=Run.objects.select_related("watch").order_by("pk"))
    return _rollouts(user).exclude(state__in=states.FINAL).prefetch_related(runs).order_by("-pk")[:200]


def _tiles(user: Any, open_ones: list[Rollout]) -> list[TargetTile]:
    tiles = []
    declared = access.known(user, Target.objects.filter(retired=False), "component__name")
    for target in declared.select_related("component", "environment"):
        here = [one for one in open_ones if one.target_id == target.pk]
        busy = next((one for one in here if one.state in BUSY), None)
        watch = next((run.watch for run in reversed(busy.runs.all()) if run.watch), None) if busy else None
        waiting = sum(one.state in PATIENT for one in here)
        tiles.append(TargetTile(target=target, rollout=busy, watch=watch, waiting=waiting))
    return tiles


def _beats(now: datetime) -> list[Beat]:
    """Return pulse and worker of every host that is needed, with their last sign of life; late without any."""
    seen = dict(Heartbeat.objects.values_list("name", "at"))
    beats = []
    for host in hosts.needed():
        for kind, limit_s in heartbeat.LATE_S.items():
            at = seen.get(heartbeat.of(kind, host))
            name = kind if host == settings.GR_HOST_ID else f"{kind} of {host}"
            beats.append(Beat(name=name, at=at, late=at is None or now - at > timedelta(seconds=limit_s)))
    return beats
