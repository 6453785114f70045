"""Drives a run in the foreground by the engine's own loop, so that a 3 a.m. rollback needs no web server and no worker.

Harmless beside live workers: every claim is a compare-and-swap, whoever comes second finds nothing to do.
"""

import time
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.utils import timezone

from monitoring import notices, watcher
from monitoring.models import Poll
from rollout import ballast, engine, heartbeat, hosts, states
from rollout.models import Run
from rollout.states import RunState as N
from rollout.states import StepState as S

Say = Callable[[str], None]
PAUSE_S = 0.2
# Pulse beats every 2 seconds where the product is up.
ALIVE_S = 10.0


def drive(run: Run, say: Say, *, sleep: Callable[[float], None] = time.sleep) -> Run:
    """Take a run to its end, and the rollback that follows from it to its own; return the last one.

    Ends early only when a person has to decide and somebody else goes on observing. Prints steps and polls by `say`.
    """
    teller = _Teller(say)
    if run.host_id != settings.GR_HOST_ID:
        say(f"this target stands on host {run.host_id}: its workers act, and this command only follows them")
    while True:
        ballast.rescued(partial(engine.advance, run.pk))
        watcher.observe_due(timezone.now(), leave=hosts.watches_elsewhere())
        run = Run.objects.select_related("rollout", "watch").get(pk=run.pk)
        if run.kind != Run.Kind.ROLLBACK or run.state in states.RUN_FINAL:
            notices.deliver_due(timezone.now())  # a channel that hangs must not slow down a rollback
        teller.look(run)
        if run.state in states.RUN_FINAL or run.state == N.UNKNOWN:
            following = run.rollout.runs.filter(pk__gt=run.pk, state__in=[N.QUEUED, N.RUNNING]).first()
            if following is None:
                return run
            run = following
        elif run.rollout.needs_decision and others_alive():
            return run
        sleep(PAUSE_S)


def others_alive() -> bool:
    """Say whether the product itself is up, on any host, and goes on observing without us."""
    return min(heartbeat.ages("pulse").values(), default=ALIVE_S) < ALIVE_S


class _Teller:
    """Says each thing once: a run's begin and end, its steps, its polls, and what a person has to decide."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.told: set[str] = set()

    def look(self, run: Run) -> None:
        """Say what is new of a run."""
        ended = run.state not in (N.QUEUED, N.RUNNING)
        if not ended:
            self._run(run)
        steps = list(run.steps.all())
        for step in steps:
            if step.state not in (S.PENDING, S.SKIPPED):
                sentence = step.outcome.get("sentence", "")
                key = f"step {step.pk} {step.attempt} {step.state}"
                line = f"  [{step.number}/{len(steps)}] {step.title}: {states.label(step.state)} {sentence}"
                self._once(key, line)
        if run.watch is not None:
            poll = Poll.objects.filter(watch=run.watch).order_by("-number").first()
            if poll is not None:
                again = f"; again in {poll.next_interval_s.normalize():f} s ({poll.next_reason})"
                self._once(f"poll {poll.pk}", f"  poll {poll.number}: {poll.verdict}, {poll.reason}{again}")
        if run.rollout.needs_decision:
            why = f"A person has to decide (accept or roll back): {run.rollout.needs_decision}"
            self._once(f"decision {run.rollout.needs_decision}", why)
        if ended:
            self._run(run)

    def _run(self, run: Run) -> None:
        line = f"{run.kind} run {run.pk}: {states.label(run.state)} {run.reason}"
        self._once(f"run {run.pk} {run.state}", line)

    def _once(self, key: str, line: str) -> None:
        if key not in self.told:
            self.told.add(key)
            self.say(f"{timezone.now():%H:%M:%S} {line}".rstrip())
