"""Finds what is due and what was lost, and nudges; has no effects of its own and may be restarted at any time."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import close_old_connections
from django.utils import timezone

from approvals.models import SignOff
from monitoring import notices, watcher
from monitoring.models import Watch
from rollout import commands, heartbeat, nudge, runner
from rollout.models import Run, Step
from rollout.states import RunState as N
from rollout.states import StepState as S

TICK_S = 0.2
# The same hint again only after this time (seconds): a lost message is replaced, one that waits is not doubled.
AGAIN_S = 2.0
LOOK_AGAIN_S = 1.0
BEAT_S = 2.0
IDLE_S = 30.0


class Pulse:
    """One loop; what it remembers is only when it hinted at what, so a restart costs nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.hinted: dict[str, float] = {}
        self.beat_at = float("-inf")

    def tick(self, now: datetime) -> None:
        """Look once at everything that could be due."""
        for run in Run.objects.filter(state__in=[N.QUEUED, N.RUNNING]).select_related(
            "target__component", "target__environment"
        ):
            why = _wants(run)
            if why:
                self._hint(
                    f"run-{run.pk}-{why}",
                    partial(nudge.run, run.pk),
                    again_s=LOOK_AGAIN_S if why == "look" else AGAIN_S,
                )
        if _is_due(watcher.next_due(), now):
            self._hint("observe", nudge.observe, again_s=0.4)
        if _is_due(notices.next_due(now), now):
            self._hint("deliver", nudge.deliver, again_s=AGAIN_S)
        if SignOff.objects.filter(state__in=SignOff.LIVE, expires_at__lte=now).exists():
            self._hint("sweep", nudge.sweep, again_s=30)
        # Also when nothing is due: a worker shows that it lives from inside a task, and /readyz asks for it.
        self._hint("idle", nudge.sweep, again_s=IDLE_S)
        if self.clock() - self.beat_at >= BEAT_S:
            self.beat_at = self.clock()
            heartbeat.beat("pulse")

    def _hint(self, key: str, send: Callable[[], None], *, again_s: float) -> None:
        if self.clock() - self.hinted.get(key, float("-inf")) >= again_s:
            self.hinted[key] = self.clock()
            send()


def run_for_ever(stop: Callable[[], bool]) -> None:
    """Tick until `stop` says so."""
    pulse = Pulse()
    while not stop():
        close_old_connections()
        pulse.tick(timezone.now())
        time.sleep(TICK_S)


def _wants(run: Run) -> str:
    """Return why a run should be looked at now: a name that changes when the reason does, or "" when it should not."""
    if run.state == N.QUEUED:
        return "queued"
    step: Step | None = run.steps.filter(state=S.RUNNING).first()
    if step is None:
        return f"next-{run.version}-{run.steps.filter(state=S.PENDING).count()}"
    if step.kind == "watch":
        return _wants_of_watch(run)
    if runner.read_exit(commands.folder_of(step)) is not None:
        return f"ended-{step.pk}-{step.attempt}"
    return "look"


def _wants_of_watch(run: Run) -> str:
    """Return why a run that watches should go on; one whose question was asked already waits for its answer."""
    outcome = run.watch.outcome if run.watch is not None else ""
    asked = bool(run.rollout.needs_decision)
    waits = outcome == Watch.Outcome.NEEDS_DECISION or run.rollout.automatic_rollback_used
    if run.abort_requested or outcome == Watch.Outcome.PASSED or (outcome and not (asked and waits)):
        return f"watch-{outcome}"
    return ""


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
