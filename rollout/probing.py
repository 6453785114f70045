"""Looks how an unknown step stands on its target, for the people who have to decide about it."""

from datetime import datetime
from typing import Any

from django.conf import settings

from rollout import commands, runner
from rollout.drivers import Answer, DriverError
from rollout.drivers.base import version_of
from rollout.models import Run, Step, Target
from rollout.states import RunState as N
from rollout.states import StepState as S

# After these steps another version may be live.
GOES_LIVE = ("switch", "start")


def look(run_id: int, now: datetime) -> None:
    """Write down what the target says of an unknown run; only on the host that can see the target."""
    run = Run.objects.select_related("target__component", "target__environment", "rollout__release").get(pk=run_id)
    if run.state != N.UNKNOWN or run.host_id != settings.GR_HOST_ID:
        return
    same = Run.objects.filter(pk=run.pk, state=N.UNKNOWN, version=run.version)  # not another time that it is unknown
    same.update(probe=see(run), probed_at=now)


def see(run: Run) -> dict[str, Any]:
    """Return what this host can see of an unknown run's target: the lock, the driver's answer, the fence."""
    held = runner.is_held(commands.lock_path(run.target))
    answer = ask(run, run.steps.filter(state=S.UNKNOWN).first())
    sentence = f"a command still holds the target; so far: {answer.sentence}" if held else answer.sentence
    return {
        "held": held,
        "answer": answer.answer,
        "live": answer.live,
        "sentence": sentence,
        "epoch": commands.seen_epoch(run.target),
    }


def is_held(target: Target, run: Run | None) -> bool:
    """Say whether a command holds the target: seen here, or, of another host's, when that host last looked."""
    if target.host_id == settings.GR_HOST_ID:
        return runner.is_held(commands.lock_path(target))
    return run is not None and bool(run.probe.get("held"))


def unseen(run: Run) -> str:
    """Return why nobody knows how an unknown run's target stands: its host has not looked since; "" when it has."""
    if run.host_id == settings.GR_HOST_ID or run.probed_at is not None:
        return ""
    return f"Host {run.host_id} has not answered since: nobody knows whether a command still runs there."


def ask(run: Run, step: Step | None) -> Answer:
    """Return the driver's answer about a step; a target that cannot be asked says "unknown"."""
    if step is None:
        return Answer("unknown", "", "no step of this run is unknown")
    try:
        return commands.driver_of(run).probe(commands.spec_of(run), step.kind, step.params)
    except (DriverError, OSError) as error:
        return Answer("unknown", "", f"the target could not be asked: {error}")


def found(run: Run, step: Step, answer: Answer) -> dict[str, str]:
    """Return the facts of a step that the target, or a person, says was done: what is live after it.

    As the target says, or, when it cannot say, what the step was to make live.
    """
    if step.kind not in GOES_LIVE:
        return {}
    restored = run.restores.release_version if run.restores else ""
    meant = str(step.params.get("version") or restored or run.target.live_version)
    return {"live_version": version_of(answer.live) or meant}
