"""advance(run): claim one step, start it, record how it ended, name the next; the only writer of step rows.

Called as often as anybody likes, by anybody, at the same time: the database is the truth, every claim is a
compare-and-swap, and the command runs under a runner that holds the target's lock. One call does:
1. a queued run begins when its target is free (the sign-off is asked once more, in that transaction);
2. a running step whose command ended is recorded; one that was lost is recovered, or parked as UNKNOWN;
3. an abort that was asked for is done; otherwise the next step is claimed and its command started;
4. a run without a next step is finished.
"""

from datetime import datetime
from pathlib import Path

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import ledger
from monitoring.audit import SYSTEM
from rollout import actions, commands, endings, freezing, nudge, opening, runner, watching
from rollout.intent import Outcome
from rollout.models import Effect, Rollout, Run, Step
from rollout.permits import TargetHeldError
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import ConflictError, move

MAX_ATTEMPTS = 3
# So long after its time-out (seconds) a command whose runner was lost may still hold the target's lock.
OVERDUE_S = 60


def advance(run_id: int) -> None:
    """Take a run as far as it goes now; losing a race to another caller is no error."""
    run = Run.objects.select_related("target__component", "target__environment", "rollout__release").get(pk=run_id)
    now = timezone.now()
    try:
        if run.state == N.QUEUED and not _begin(run, now):
            return
        if run.state != N.RUNNING:
            return
        _go_on(run, now)
    except (ConflictError, runner.BusyError):
        return  # somebody else is at it


def _go_on(run: Run, now: datetime) -> None:
    running = run.steps.filter(state=S.RUNNING).first()
    if running is not None and not _settle(run, running, now):
        return
    run.refresh_from_db()
    if run.state != N.RUNNING:
        return
    if run.abort_requested and run.kind != Run.Kind.ROLLBACK:
        endings.aborted(run, now=now)
        return
    if run.kind == Run.Kind.DEPLOY and not freezing.is_intact(run.rollout):
        endings.deploy_failed(run, why="the manifest is not what was signed", title="Manifest changed", now=now)
        return
    following = run.steps.filter(state=S.PENDING).first()
    if following is None:
        endings.finished(run, now=now)
    elif following.kind == "watch":
        watching.begin(run, following, now=now)
    else:
        _start(run, following, now)


def _begin(run: Run, now: datetime) -> bool:
    """Let a queued run begin, if its target is free; return whether it did."""
    if run.abort_requested:
        endings.aborted(run, now=now)
        return False
    try:
        with transaction.atomic():
            if run.kind == Run.Kind.DEPLOY:
                _ask_again(run.rollout, run, now)
            epoch = opening.next_epoch(run.target)
            move(run, N.RUNNING, by=opening.opener(run), now=now, started_at=now, epoch=epoch)
    except IntegrityError:
        return False  # another run, or an active rollout, holds the target: pulse asks again
    except TargetHeldError:
        return False  # locked or frozen after the click: it waits, and can be aborted
    except (actions.Refused, PermissionDenied) as refusal:
        endings.refused(run, why=str(refusal), now=now)
        return False
    return True


def _ask_again(rollout: Rollout, run: Run, now: datetime) -> None:
    """Ask for consent in the transaction that starts the run: rules, roles, digest, lock and freeze as they are now."""
    actions.require_free(run.target, now=now)
    starter = User.objects.get(pk=run.started_by_id or 0)
    actions.require(starter, run.target, {"deploy-operator", "ops"})
    changed = freezing.changed(rollout)
    if changed:
        raise actions.Refused(f"changed since it was signed: {', '.join(changed)}")
    if rollout.sign_off is None:
        raise actions.Refused("there is no sign-off")
    ledger.use(rollout.sign_off, by=opening.opener(run), now=now)
    move(rollout, R.RUNNING, by=opening.opener(run), now=now, started_at=now)


def _start(run: Run, step: Step, now: datetime) -> None:
    """Take the target's lock, claim the step, write the intent, start the runner: in this order."""
    with runner.lock(commands.lock_path(run.target)) as lock:
        if not Step.objects.filter(pk=step.pk, state=S.PENDING, version=step.version).exists():
            return  # claimed meanwhile; whoever holds the lock is the only one who claims, so this cannot change now
        commands.clear_next_folder(step)
        with transaction.atomic():
            move(step, S.RUNNING, by=SYSTEM, now=now, attempt=step.attempt + 1, started_at=now)
            if step.effect:
                Effect.objects.create(step=step, attempt=step.attempt, what=step.title, intended_at=now)
        folder = commands.folder_of(step)
        commands.intent_of(run, step).write(folder)
        lock.start(
            folder,
            commands.argv_of(step, folder),
            cwd=commands.HOME,
            env=commands.environment(),
            timeout_s=step.timeout_s,
        )


def _settle(run: Run, step: Step, now: datetime) -> bool:
    """Record a running step if it ended; return whether the run may go on to the next."""
    if step.kind == "watch":
        return watching.settle(run, step, now=now)
    folder = commands.folder_of(step)
    held = runner.is_held(commands.lock_path(run.target))  # asked first: exit.json is written before the unlock
    ended = runner.read_exit(folder)
    if ended is None and held:
        _attend(run, step, folder, now)
        return False
    if ended is None:
        _recover(run, step, started=runner.was_started(folder), now=now)
        return False
    outcome = _outcome_in(folder) or Outcome(result="errored", sentence=_how(ended))
    if outcome.ok and ended["code"] == 0:
        return _record_success(run, step, outcome, now)
    if run.abort_requested and ended.get("cancelled"):
        endings.aborted(run, now=now)
    else:
        endings.failed(run, step, outcome, now=now)
    return False


def _attend(run: Run, step: Step, folder: Path, now: datetime) -> None:
    """Pass an abort on to a running command; give up one that has no runner and is long past its time-out."""
    if run.abort_requested and run.kind != Run.Kind.ROLLBACK:
        runner.cancel(folder)
    overdue_s = (now - (step.started_at or now)).total_seconds() - step.timeout_s - OVERDUE_S
    if overdue_s > 0 and not runner.is_alive(folder):
        why = "its runner was lost, and something still holds the target's lock long after its time-out"
        _give_up(run, step, why, now)


def _outcome_in(folder: Path) -> Outcome | None:
    try:
        return Outcome.read(folder)
    except (OSError, ValueError, TypeError) as error:
        return Outcome(result="errored", sentence=f"left an outcome that cannot be read: {error}")


def _record_success(run: Run, step: Step, outcome: Outcome, now: datetime) -> bool:
    """Record a success with all that it found; what cannot be kept makes it a failure. Return whether it was kept."""
    try:
        _keep(run, step, outcome, now)
    except (KeyError, OSError, ValueError, actions.Refused) as error:
        step.refresh_from_db()
        run.refresh_from_db()
        sentence = f"what it left cannot be kept: {type(error).__name__}: {error}"
        endings.failed(run, step, Outcome(result="errored", sentence=sentence), now=now)
        return False
    return True


def _keep(run: Run, step: Step, outcome: Outcome, now: datetime) -> None:
    with transaction.atomic():
        document = {"result": outcome.result, "sentence": outcome.sentence, "facts": outcome.facts}
        move(step, S.SUCCEEDED, by=SYSTEM, now=now, why=outcome.sentence, ended_at=now, outcome=document)
        step.effects.filter(attempt=step.attempt).update(observed_at=now, observed=outcome.sentence[:300])
        endings.keep_facts(run, step, outcome, now=now)


def _recover(run: Run, step: Step, *, started: bool, now: datetime) -> None:
    """Decide about a step whose runner is gone without a word: ask again where that is safe, else park it.

    Never started, or of a driver whose acts can be repeated: it becomes pending again, at most MAX_ATTEMPTS times.
    """
    if not started and (now - (step.started_at or now)).total_seconds() < commands.START_GRACE_S:
        return  # another worker is between the claim and the start
    repeatable = not started or not step.effect or commands.driver_of(run).recovery == "resumable"
    if not repeatable:
        _give_up(run, step, "its command was started and nobody saw how it ended", now)
    elif step.attempt < MAX_ATTEMPTS:
        why = "never started" if not started else "its runner was lost; what it does can be repeated"
        move(step, S.PENDING, by=SYSTEM, now=now, why=why)
        nudge.run(run.pk)
    else:
        sentence = f"it was tried {step.attempt} times, and its runner was lost each time"
        endings.failed(run, step, Outcome(result="errored", sentence=sentence), now=now)


def _give_up(run: Run, step: Step, why: str, now: datetime) -> None:
    """Park a step that may have changed something; one that changes nothing has simply failed."""
    if step.effect:
        endings.unknown(run, step, why=why, now=now)
    else:
        endings.failed(run, step, Outcome(result="errored", sentence=why), now=now)


def _how(ended: dict[str, object]) -> str:
    for key, words in (
        ("timed_out", "ended after its time-out"),
        ("cancelled", "ended because of an abort"),
        ("truncated", "printed too much"),
    ):
        if ended.get(key):
            return words
    return f"ended with exit code {ended.get('code')} and left no outcome {ended.get('error', '')}".strip()
