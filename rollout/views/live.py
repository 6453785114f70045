"""What changes while one looks: the runs with their steps, the tail of the running step, the watch and its gates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Prefetch

from monitoring.models import Poll, Watch
from rollout.intent import OUTPUT, PROGRESS
from rollout.models import Rollout, Run, Step
from rollout.states import RUN_FINAL, StepState

TAIL_BYTES = 16 * 1024
KINDS = {
    "validate": "Validate run: proves it, changes nothing",
    "deploy": "Deploy run",
    "rollback": "Rollback run",
}


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """One step as the page shows it; `tail` only while it runs or when it went wrong."""

    id: int
    name: str
    kind: str
    state: str
    effect: bool
    started_at: datetime | None
    duration_s: float | None
    percent: int | None = None
    said: str = ""
    error: str = ""
    tail: str = ""
    truncated: bool = False
    has_log: bool = False


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run with its steps; an open one is shown whole, an ended one folded."""

    id: int
    title: str
    kind: str
    state: str
    reason: str
    automatic: bool
    started_by: str
    started_at: datetime | None
    ended_at: datetime | None
    abort_requested: bool
    open: bool
    steps: tuple[StepLine, ...]
    done: int
    reviewed_by: str
    reviewed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class WatchView:
    """The watch in short: verdict, gates now, when the next look is due and why then."""

    watch: Watch
    gates: tuple[dict[str, Any], ...]
    poll: Poll | None
    looking: bool

    @property
    def polls(self) -> int:
        """Return how many looks there were."""
        return self.watch.polls

    @property
    def charted(self) -> tuple[dict[str, Any], ...]:
        """Return the gates that are drawn: those that roll back, or all where none does."""
        return tuple(gate for gate in self.gates if gate["severity"] == "rollback") or self.gates


def runs_of(rollout: Rollout) -> list[Run]:
    """Return the rollout's runs, oldest first, with their steps, in two queries."""
    steps = Prefetch("steps", queryset=Step.objects.order_by("number").prefetch_related("effects"))
    return list(
        rollout.runs.select_related("watch", "incident", "started_by__person", "again_by__person", "restores")
        .prefetch_related(steps)
        .order_by("pk")
    )


def run_lines(runs: Sequence[Run]) -> list[RunLine]:
    """Shape the runs, newest first."""
    return [_run_line(run) for run in reversed(runs)]


def current(runs: Sequence[Run]) -> Run | None:
    """Return the run that is not ended, or None."""
    return next((run for run in reversed(runs) if run.state not in RUN_FINAL), None)


def running_step(run: Run | None) -> Step | None:
    """Return the step of a run that is under way, or the next one."""
    if run is None:
        return None
    steps = list(run.steps.all())
    wanted = (StepState.RUNNING, StepState.UNKNOWN, StepState.PENDING)
    return next((step for state in wanted for step in steps if step.state == state), None)


def has_effects(runs: Sequence[Run]) -> bool:
    """Say whether a deploy run of these changed, or may have changed, the target."""
    return any(step.possible_effects for run in runs if run.kind == Run.Kind.DEPLOY for step in run.steps.all())


def watch_of(runs: Sequence[Run]) -> Watch | None:
    """Return the newest watch of these runs."""
    return next((run.watch for run in reversed(runs) if run.watch is not None), None)


def watch_view(watch: Watch | None, tuned: dict[str, str]) -> WatchView | None:
    """Return the watch with its last look; `tuned` maps gate name -> the limit before the tuning."""
    if watch is None:
        return None
    poll = Poll.objects.filter(watch=watch).order_by("-number").first()
    gates = [{**gate, "tuned_from": tuned.get(gate["name"], "")} for gate in (poll.gates if poll else _unseen(watch))]
    looking = watch.state == Watch.State.OBSERVING or watch.outcome == Watch.Outcome.NEEDS_DECISION
    return WatchView(watch=watch, gates=tuple(gates), poll=poll, looking=looking and watch.closed_at is None)


def tail_of(step: Step, *, limit: int = TAIL_BYTES) -> tuple[str, bool]:
    """Return the end of a step's output and whether something stands before it; empty when there is none."""
    path = folder_of(step) / OUTPUT
    try:
        with path.open("rb") as source:
            size = source.seek(0, 2)
            source.seek(max(0, size - limit))
            text = source.read(limit).decode("utf-8", "replace")
    except OSError:
        return "", False
    if size <= limit:
        return text, False
    return text.partition("\n")[2] or text, True  # of one endless line the end is shown, too


def folder_of(step: Step) -> Path:
    """Return the folder of a step's attempt; it is not made here."""
    return Path(settings.GR_RUN_DIR) / "steps" / step.folder


def _percent(step: Step) -> int | None:
    try:
        return int(json.loads((folder_of(step) / PROGRESS).read_text())["percent"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _run_line(run: Run) -> RunLine:
    steps = tuple(_step_line(step) for step in run.steps.all())
    return RunLine(
        id=run.pk,
        title=KINDS[run.kind],
        kind=run.kind,
        state=run.state,
        reason=run.reason,
        automatic=run.automatic,
        started_by=name_of(run),
        started_at=run.started_at,
        ended_at=run.ended_at,
        abort_requested=run.abort_requested,
        open=run.state not in RUN_FINAL,
        steps=steps,
        done=sum(step.state == StepState.SUCCEEDED for step in steps),
        reviewed_by=run.reviewed_by,
        reviewed_at=run.reviewed_at,
    )


def name_of(run: Run) -> str:
    """Return who started a run, as a signature prints the name."""
    if run.started_by is None:
        return "by itself"
    person = getattr(run.started_by, "person", None)
    return person.printed_name if person else run.started_by.get_username()


def _step_line(step: Step) -> StepLine:
    running = step.state == StepState.RUNNING and step.kind != "watch"
    wrong = step.state in (StepState.FAILED, StepState.UNKNOWN)
    tail, truncated = tail_of(step) if running or (wrong and step.attempt) else ("", False)
    sentence = str(step.outcome.get("sentence", ""))
    took = (step.ended_at - step.started_at).total_seconds() if step.ended_at and step.started_at else None
    return StepLine(
        id=step.pk,
        name=step.title,
        kind=step.kind,
        state=step.state,
        effect=step.effect,
        started_at=step.started_at,
        duration_s=took,
        percent=_percent(step) if running else None,
        said="" if wrong else sentence,
        error=sentence if wrong else "",
        tail=tail,
        truncated=truncated,
        has_log=step.attempt > 0 and step.kind != "watch" and not tail,
    )


def _unseen(watch: Watch) -> list[dict[str, Any]]:
    """Return the gates of a watch that nobody has looked at yet."""
    return [
        {**gate, "state": "undecided", "value": None, "samples": 0, "reason": "not looked at yet"}
        for gate in watch.profile["gates"]
    ]
