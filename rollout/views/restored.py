"""What a rollback did, for somebody woken at night or an auditor a year later: why, what was restored, the proof."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollout.models import Artifact, Run, Step
from rollout.states import RolloutState as R
from rollout.states import StepState as S

WENT_BACK = frozenset({R.ROLLED_BACK, R.ROLLED_BACK_UNHEALTHY, R.NOT_RESTORED})
# what a step proves -> its kind and the parameter that tells it from others of its kind
PROVED = (
    ("Proof", "verify", "what", "restored"),
    ("Health", "verify", "what", "health"),
    ("Smoke tests", "check", "command", "smoke"),
)
WRONG = frozenset({S.FAILED, S.UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was proved, or was not; `state` is that of the step that did it."""

    label: str
    text: str
    state: str
    artifact: Artifact | None = None


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The end of a rollback on one card."""

    run: Run
    why: str
    by: str
    lines: tuple[Line, ...]
    undo_name: str
    undo_sha256: str
    undo_warning: str
    began_at: datetime | None
    took_s: float | None


def restored(state: str, runs: Sequence[Run], artifacts: Iterable[Artifact], *, by: str) -> Restored | None:
    """Return what the newest rollback run did, or None where nothing was rolled back; `by` names who started it."""
    run = last_rollback(state, runs)
    if run is None:
        return None
    steps = list(run.steps.all())
    proof = next((one for one in artifacts if one.kind == "rollback-restore_proof"), None)
    undo = next((step for step in steps if step.kind == "backup" and step.params.get("undo")), None)
    kept = undo.outcome.get("facts", {}) if undo else {}
    took = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
    return Restored(
        run=run,
        why=run.reason,
        by=by,
        lines=tuple(_line(steps, *proved, proof=proof) for proved in PROVED),
        undo_name=str(kept.get("path", "")).rpartition("/")[2],
        undo_sha256=str(kept.get("sha256", "")),
        undo_warning=_warning(undo),
        began_at=run.started_at,
        took_s=took,
    )


def _warning(undo: Step | None) -> str:
    """Return what is wrong with the copy of the state that was left: made unchecked, or not made at all."""
    if undo is None:
        return ""
    if undo.state == S.FAILED:
        return str(undo.outcome.get("sentence") or "No copy was made of the state that was left.")
    return str(undo.outcome.get("facts", {}).get("warning", ""))


def last_rollback(state: str, runs: Sequence[Run]) -> Run | None:
    """Return the rollback run that the state speaks of, or None."""
    if state not in WENT_BACK:
        return None
    return next((run for run in reversed(runs) if run.kind == Run.Kind.ROLLBACK), None)


def _line(steps: Sequence[Step], label: str, kind: str, key: str, value: str, *, proof: Artifact | None) -> Line:
    step = next((one for one in steps if one.kind == kind and one.params.get(key) == value), None)
    if step is None or (step.state != S.SUCCEEDED and step.state not in WRONG):
        return Line(label=label, text="It did not come to this.", state=S.SKIPPED)
    said = str(step.outcome.get("sentence") or step.title)
    return Line(
        label=label, text=said[:1].upper() + said[1:], state=step.state, artifact=proof if label == "Proof" else None
    )
