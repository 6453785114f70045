"""Ends what an ended run left running: whoever ended it may have been on another host, or died before he could ask."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from monitoring import audit_told, storage
from rollout import alarms, commands, runner, states
from rollout.models import Run, Step
from rollout.states import RunState as N
from rollout.states import StepState as S

NEWEST = 3
# So many of the newest steps of this host are looked at for one that could still start late.
RECENT = 20
# After so long (seconds) what was asked to end has ended, or was killed: whoever holds the lock then is a stranger.
STRANGER_S = 60


def cancel(run_id: int) -> None:
    """Ask what holds the lock to end, while a rollback of this host waits for it; tell people when that is no help."""
    here = {"pk": run_id, "host_id": settings.GR_HOST_ID, "kind": Run.Kind.ROLLBACK, "state": N.RUNNING}
    run = Run.objects.filter(**here).select_related("target__component", "target__environment", "rollout").first()
    if run is None:
        return
    waits = Path(settings.GR_RUN_DIR) / "waits" / f"run{run.pk}-{run.created_at:%Y%m%d%H%M%S}"
    lock = commands.lock_path(run.target)
    if run.steps.filter(state=S.RUNNING).exists() or not runner.is_held(lock):
        shutil.rmtree(waits, ignore_errors=True)
        return
    for folder in _in_the_way(run):
        if runner.is_alive(folder) and runner.read_exit(folder) is None:
            runner.cancel(folder)
    if _waited_s(waits) > STRANGER_S:
        holders = ", ".join(runner.holders(lock)) or "a process that cannot be named here"
        alarms.waits_for_lock(run, holders, now=timezone.now())


def _in_the_way(run: Run) -> Iterator[Path]:
    """Yield the folders of what may hold a target's lock: steps of ended runs, and backups on request."""
    ended = Step.objects.filter(
        run__target=run.target_id, run__state__in=states.RUN_FINAL, state=S.FAILED, attempt__gt=0
    )
    for step in ended.exclude(kind="watch").order_by("-ended_at")[:NEWEST]:
        yield commands.folder_of(step)
    yield from (Path(settings.GR_RUN_DIR) / "steps").glob(f"backup-{run.target_id}-*")


def _waited_s(folder: Path) -> float:
    """Return for how long (seconds) a rollback has waited, by the time since the machine's start."""
    try:
        if not (folder / runner.CLAIMED).exists():
            storage.make_directory(folder)
            runner.stamp(folder)
        return runner.age_s(folder)
    except FileNotFoundError:
        return 0.0  # another worker found the lock free just now, and removed it


def stop_late() -> None:
    """Keep what this host was given up about from starting late: a worker that was stopped before it started it.

    Another host, or a person, may have given up the step meanwhile. What was started, and is unknown, runs to its end;
    so does what only its row says is over.
    """
    ours = Step.objects.filter(run__host_id=settings.GR_HOST_ID, state__in=[S.FAILED, S.UNKNOWN], attempt__gt=0)
    for step in ours.exclude(kind="watch").order_by("-ended_at", "-pk")[:RECENT]:
        folder = Path(settings.GR_RUN_DIR) / "steps" / step.folder
        with contextlib.suppress(OSError, ValueError):  # a folder that cannot be read must not stop the pulse
            late = step.state == S.FAILED or not runner.was_started(folder)
            if folder.is_dir() and late and runner.read_exit(folder) is None and _is_told(step):
                runner.cancel(folder)


def _is_told(step: Step) -> bool:
    """Say whether the newest entry about a step that stands as it was written tells the state of its row."""
    told = [one["new"] for one in audit_told.sound_about("step", [step.pk]) if one["new"]]
    return bool(told) and told[-1] == step.state
