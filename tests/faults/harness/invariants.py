"""What must hold after every trial, whatever died in it; each finding is a kind and a sentence."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from monitoring import audit_verify
from monitoring.models import AuditEntry
from rollout import recovering, runner
from rollout.intent import OUTCOME
from rollout.models import Effect, Rollout, Run, Step
from rollout.states import FINAL
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from tests.faults.harness import settings, target
from tests.faults.harness.spec import Spec

Problems = Iterator[tuple[str, str]]
STEP_ENDS = {S.SUCCEEDED, S.FAILED, S.SKIPPED, S.UNKNOWN}
ROLLOUT_ENDS = {*FINAL, R.UNKNOWN, R.NOT_RESTORED, R.WAITING, R.DRAFT}


def check(spec: Spec) -> list[tuple[str, str]]:
    """Return everything that does not hold in the world that stands."""
    return [
        *_commands(),
        *_effects(),
        *_ended(spec),
        *_unknown(spec),
        *_journal(),
        *_moves(),
        *_audit(),
        *_alarms(),
        *_result(spec),
    ]


def state() -> str:
    """Return where the rollout stands."""
    return str(Rollout.objects.get().state)


def _commands() -> Problems:
    """No token is started twice, and no two commands are at the target at a time."""
    lines = target.lines()
    for token, count in Counter(line.token for line in lines if line.what == "start").items():
        if count > 1:
            yield "duplicate", f"{token} was started {count} times"
    for line in lines:
        if line.what == "overlap":
            yield "overlap", f"{line.token} began while another command was at the target"
    at_work: dict[str, str] = {}
    for line in lines:
        if line.what == "end" and at_work.pop(line.token, "") != "alone":
            yield "overlap", f"another command began before {line.token} ended"
        if line.what == "start":
            at_work = dict.fromkeys(at_work, "met another") | {line.token: "alone"}


def _effects() -> Problems:
    """Nothing is changed twice, and nothing is started again after its end was recorded."""
    lines = target.lines()
    changes = Counter((line.run, line.step) for line in lines if line.what == "change")
    for (run, number), count in changes.items():
        if count > 1:
            yield "duplicate", f"step {number} of run {run} changed the target {count} times"
    for step in Step.objects.filter(effect=True):
        changed = changes[step.run_id, step.number]
        if step.state == S.SUCCEEDED and not changed:
            yield "lost", f"{step.kind} succeeded, but did not change the target"
        if step.state in (S.PENDING, S.SKIPPED) and not step.attempt and changed:
            yield "lost", f"{step.kind} is {step.state} and was never tried, but changed the target"
    epochs = [line.epoch for line in lines if line.what == "start"]
    if epochs != sorted(epochs):
        yield "overlap", f"the target saw an old epoch after a newer one: {epochs}"


def _ended(spec: Spec) -> Problems:
    """Every run ended, each step with it, and the rollout stands where somebody can go on from."""
    for run in Run.objects.filter(state__in=[N.QUEUED, N.RUNNING]):
        yield "lost", f"run {run.pk} is {run.state} for ever"
    for step in Step.objects.exclude(run__state=N.UNKNOWN).exclude(state__in=STEP_ENDS):
        yield "lost", f"{step.kind} of the ended run {step.run_id} is {step.state}"
    for step in Step.objects.filter(attempt__gt=recovering.MAX_ATTEMPTS if spec.scenario != "decided" else 9):
        yield "lost", f"{step.kind} was tried {step.attempt} times"
    rollout = Rollout.objects.get()
    if rollout.state not in ROLLOUT_ENDS:
        yield "lost", f"the rollout is {rollout.state} for ever"
    runs = Run.objects.filter(state=N.UNKNOWN).exists()
    if runs != (rollout.state == R.UNKNOWN):
        yield "lost", f"the rollout is {rollout.state}, but a run is unknown: {runs}"


def _unknown(spec: Spec) -> Problems:
    """Only what cannot be asked stays unknown; of that, everything that was started and not seen to end."""
    for step in Step.objects.filter(attempt__gt=0).exclude(kind="watch"):
        lost = [attempt for attempt in range(1, step.attempt + 1) if _is_lost(_folder(step, attempt))]
        if step.state == S.UNKNOWN and (spec.driver != "opaque" or not step.effect):
            yield "unknown", f"{step.kind} of a {spec.driver} driver is unknown"
        elif step.state == S.UNKNOWN and lost != [step.attempt]:
            yield "unknown", f"{step.kind} is unknown, but its command was not lost"
        elif _must_be_unknown(spec, step, lost) and step.state != S.UNKNOWN:
            yield "unflagged", f"try {lost} of {step.kind} was started, nobody saw its end, and it is {step.state}"


def _is_lost(folder: Path) -> bool:
    """Say whether a command was started, and nobody knows how it ended: it, or its runner, was killed before a word."""
    ended = runner.read_exit(folder)
    if ended is None or not runner.was_started(folder):
        return runner.was_started(folder) and not (folder / OUTCOME).exists()
    by_runner = ended.get("timed_out") or ended.get("cancelled") or ended.get("truncated")
    return (ended.get("code") or 0) < 0 and not by_runner and not (folder / OUTCOME).exists()


def _must_be_unknown(spec: Spec, step: Step, lost: list[int]) -> bool:
    # an abort rolls back whatever became of the step; of one that was decided the audit tells
    settled = step.run.abort_requested or spec.scenario == "decided"
    return spec.driver == "opaque" and step.effect and bool(lost) and not settled


def _journal() -> Problems:
    """Every try of an effect was written down before it was started, and its end when it was seen."""
    written = set(Effect.objects.values_list("step_id", "attempt"))
    for step in Step.objects.filter(effect=True):
        for attempt in range(1, step.attempt + 1):
            if (step.pk, attempt) not in written:
                yield "lost", f"try {attempt} of {step.kind} is not in the journal"
        if step.state == S.SUCCEEDED and Effect.objects.filter(step=step, attempt=step.attempt, observed_at=None):
            yield "lost", f"the end of {step.kind} is not in the journal"
    known = {(step.run_id, step.number): step for step in Step.objects.all()}
    for line in target.lines():
        step = known.get((line.run, line.step))
        if step is None or int(line.token.rpartition("try")[2]) > step.attempt:
            yield "lost", f"{line.token} was started, but no step knows of it"


def _moves() -> Problems:
    """A row's version counts its moves: each has one audit entry."""
    entries = AuditEntry.objects.values_list("subject_kind", "subject_id", "action", "new")
    moves = [(kind, pk) for kind, pk, action, new in entries if action in (f"{kind}.{new.lower()}", "run.again_asked")]
    told = Counter(moves)
    for kind, model in (("rollout", Rollout), ("run", Run), ("step", Step)):
        for pk, version in model.objects.values_list("pk", "version"):
            if told[kind, str(pk)] != version:
                yield "audit", f"{kind} {pk} was moved {version} times, the audit tells of {told[kind, str(pk)]}"


def _audit() -> Problems:
    """The chain verifies, has no gap, and its head is its last entry."""
    for problem in audit_verify.verify_database().problems:
        yield "audit", problem


def _alarms() -> Problems:
    """Nobody edits a row here: whoever finds rows that the audit does not bear out raises a false alarm."""
    for rollout in Rollout.objects.filter(state_why__contains="the database was edited"):
        yield "alarm", f"the rollout is {rollout.state}: {rollout.state_why}"


def _result(spec: Spec) -> Problems:
    """The record says what the target shows: rolled back means restored, failed means untouched."""
    rollout = Rollout.objects.get()
    changed = {line.kind for line in target.lines() if line.what == "change"}
    if rollout.state in (R.FAILED, R.CANCELLED) and changed:
        yield "lost", f"the rollout is {rollout.state}, but {sorted(changed)} changed the target"
    if rollout.state == R.SUCCEEDED and changed != {"switch"}:
        yield "lost", f"the rollout succeeded, but the target saw {sorted(changed)}"
    if rollout.state == R.ROLLED_BACK and not {"restore", "start"} <= changed:
        yield "lost", f"the rollout was rolled back, but the target saw {sorted(changed)}"
    if Run.objects.filter(kind="rollback").count() > 1 or Run.objects.exclude(kind="rollback").count() > 1:
        yield "duplicate", f"runs were opened twice: {list(Run.objects.values_list('kind', 'state'))}"


def _folder(step: Step, attempt: int) -> Path:
    return settings.GR_RUN_DIR / "steps" / step.folder_of_attempt(attempt)
