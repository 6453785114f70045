"""Finds what is due and what was lost, and nudges; may be restarted at any time.

What it does itself: it asks commands that were given up not to start, or to end, and signs the audit's checkpoints.
"""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from approvals.models import SignOff
from monitoring import checkpoints, notices, stamping, watcher
from rollout import deadman, heartbeat, hosts, leftovers, nudge, unsaid, wanting
from rollout.models import Run, Target
from rollout.states import RunState as N

# While a run is on its way, its commands are looked at so often (seconds); otherwise pulse sleeps until something is
# due, and never longer than this, because a due moment may be new.
TICK_S = 0.2
SLEEP_S = 0.8
# Signed in the next tick: a decision, a start, and what changes who may do what. The rest waits, a minute at most.
SIGN_AT_ONCE = ("sign_off.", "rollout.queued", "rollout.running", "rollout.glass", "installation.", "audit.")
# The same hint again only after this time (seconds): a lost message is replaced, one that waits is not doubled.
AGAIN_S = 2.0
LOOK_AGAIN_S = 1.0
BEAT_S = 2.0
IDLE_S = 30.0
SELDOM = (wanting.ASKED, wanting.ASTRAY)
LOST_AGAIN_S = 10.0
LATE_S = 10.0
STAMP_AGAIN_S = 60.0


class Pulse:
    """One loop; what it remembers is only when it hinted at what, so a restart costs nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.hinted: dict[str, float] = {}
        self.beat_at = float("-inf")
        self.observer = heartbeat.Observer(clock)
        self.switch = deadman.Switch(clock)
        self.notary = checkpoints.Notary(SIGN_AT_ONCE)

    def tick(self, now: datetime) -> float:
        """Look once at everything that could be due; return after how many seconds to look again."""
        self.notary.look(now)
        moving = self._look_at_runs()
        look_at, deliver_at = watcher.next_due(now, leave=hosts.watches_elsewhere()), notices.next_due(now)
        if _is_due(look_at, now):
            self._hint("observe", nudge.observe, again_s=0.4)
        if _is_due(deliver_at, now):
            self._hint("deliver", nudge.deliver, again_s=AGAIN_S)
        if SignOff.objects.filter(state__in=SignOff.LIVE, expires_at__lte=now).exists():
            self._hint("sweep", nudge.sweep, again_s=30)
        if self.clock() - self.beat_at >= BEAT_S:
            self.beat_at = self.clock()
            self._beat(now)
        return min(TICK_S if moving else SLEEP_S, _until(look_at, now), _until(deliver_at, now))

    def _look_at_runs(self) -> bool:
        """Hint at every run of this host that can go on; return whether there is one."""
        moving = False
        runs = Run.objects.filter(host_id=settings.GR_HOST_ID, state__in=[N.QUEUED, N.RUNNING])
        for run in runs.select_related("target__component", "target__environment"):
            why = wanting.why(run)
            if why:
                moving = moving or why not in SELDOM
                again_s = IDLE_S if why in SELDOM else LOOK_AGAIN_S if why == "look" else AGAIN_S
                self._hint(f"run-{run.pk}-{why}", partial(nudge.run, run.pk), again_s=again_s)
        return moving

    def _beat(self, now: datetime) -> None:
        """Show that we live, and look at what has time: unknown runs, silent hosts, what was lost on its way."""
        heartbeat.beat(heartbeat.of("pulse"))
        self.switch.tick()
        # Also when nothing is due: a worker shows that it lives from inside a task, and /readyz asks for it.
        if hosts.serves_itself():
            self._hint("sign", nudge.sign, again_s=IDLE_S)
        self._hint("idle", nudge.sweep, again_s=IDLE_S)
        self._hint("late", leftovers.stop_late, again_s=LATE_S)
        if stamping.is_due(now):
            self._hint("stamp", nudge.stamp, again_s=STAMP_AGAIN_S)
        here = {"host_id": settings.GR_HOST_ID}
        for pk in Run.objects.filter(**here, state=N.UNKNOWN).values_list("pk", flat=True):
            self._hint(f"probe-{pk}", partial(nudge.probe, pk), again_s=IDLE_S)
        for pk in Target.objects.filter(**here, retired=False, live_version="").values_list("pk", flat=True):
            self._hint(f"see-{pk}", partial(nudge.see, pk), again_s=IDLE_S)
        for host in hosts.at_risk():
            name = heartbeat.of("pulse", host)
            counted = heartbeat.counter(name)
            # only what we saw ourselves: a wall clock says nothing about another machine
            if self.observer.age_s(name, counted) >= settings.GR_HOST_LOST_SECONDS:
                self._hint(f"lost-{host}", partial(nudge.host_lost, host, counted), again_s=LOST_AGAIN_S)
        for key, send in unsaid.due(now):
            self._hint(key, send, again_s=IDLE_S)

    def _hint(self, key: str, send: Callable[[], None], *, again_s: float) -> None:
        if self.clock() - self.hinted.get(key, float("-inf")) >= again_s:
            self.hinted[key] = self.clock()
            send()


def run_for_ever(stop: Callable[[], bool]) -> None:
    """Tick until `stop` says so."""
    pulse = Pulse()
    while not stop():
        close_old_connections()
        time.sleep(pulse.tick(timezone.now()))


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _until(at: datetime | None, now: datetime) -> float:
    """Return the seconds until a moment; for one that is past, those until it is worth asking again."""
    if at is None:
        return SLEEP_S
    return (at - now).total_seconds() if at > now else TICK_S
