"""advance(run): claim one step, start it, record how it ended, name the next; the only writer of step rows.

Called as often as anybody likes, by anybody, at the same time: the database is the truth, every claim is a
compare-and-swap, and the command runs under a runner that holds the target's lock. One call does:
1. a queued run begins when its target is free (the sign-off is asked once more, in that transaction);
2. a running step whose command ended is recorded; one that was lost is recovered, or parked as UNKNOWN (recovering);
3. an abort that was asked for is done; otherwise the next step is claimed and its command started;
4. a run without a next step is finished.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from monitoring import audit
from monitoring.audit import SYSTEM
from rollout import (
    actions,
    ballast,
    beginning,
    borne,
    commands,
    contradicted,
    endings,
    finishing,
    freezing,
    journal,
    recovering,
    runner,
    standing,
    watching,
)
from rollout.intent import OUTCOME, STALE, UNTOUCHED, Outcome
from rollout.last_words import how, outcome_in, was_killed
from rollout.models import Run, Step
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import ConflictError, hold, move

# So long after its time-out (seconds) a command whose runner was lost may still hold the target's lock.
OVERDUE_S = 60
# So long after it (seconds) a runner that is still there has not ended its command as it should: it was stopped.
STOPPED_S = 600


def advance(run_id: int) -> None:
    """Take a run of this host as far as it goes now; losing a race to another caller is no error."""
    # the rest of its places is read in the turn in which it begins, as they stand then
    run = Run.objects.select_related("target__component", "target__environment", "rollout__release").get(pk=run_id)
    now = timezone.now()
    if run.host_id != settings.GR_HOST_ID:
        return  # its lock and its runner's files are on another machine
    try:
        if run.state == N.QUEUED and not beginning.begin(run, now):
            return
        if run.state != N.RUNNING:
            return
        _go_on(run, now)
    except (ConflictError, runner.BusyError):
        return  # somebody else is at it


def _go_on(run: Run, now: datetime) -> None:
    running = run.steps.filter(state=S.RUNNING).first()
    # what is recorded of a step, and what an end undoes, goes by rows: by its number, the target's lock, the run's kind
    if (running is not None or standing.is_to_abort(run)) and (why := standing.at_work(run, running)):
        contradicted.end(run, running, why=why, now=now)
        return
    if running is not None and not _settle(run, running, now):
        return
    run.refresh_from_db(from_queryset=Run.objects.with_places())
    if run.state != N.RUNNING:
        return
    if standing.is_to_abort(run):
        endings.aborted(run, now=now)
        return
    # asked in one query: a step that another worker claims meanwhile must not be missed by two
    following = run.steps.filter(state__in=[S.PENDING, S.RUNNING]).first()
    if following is not None and following.state == S.RUNNING:
        return  # claimed by another worker since we looked
    if following is not None and following.kind != "watch":
        _start(run, following, now)
        return
    with audit.turn():
        if not _may_go_on(run, following, now):
            return
        if following is None:
            finishing.finished(run, now=now)
        else:
            watching.begin(run, following, now=now)


def _may_go_on(run: Run, step: Step | None, now: datetime) -> bool:
    """Say whether a run goes on with this step, in the turn in which it does; end it where it may not."""
    borne.take(run, step)
    if why := borne.why_not(run) if step is not None else borne.why_not_end(run):
        contradicted.end(run, step, why=why, now=now)
    elif run.kind == Run.Kind.DEPLOY and (why := freezing.not_as_signed(run.rollout)):
        endings.deploy_failed(run, why=why, title="Manifest changed", now=now)
    return not why


def _start(run: Run, step: Step, now: datetime) -> None:
    """Take the target's lock, make the intent durable, claim the step, start the runner: in this order.

    So a claim that was seen while the lock is free is nobody's any more, and a claim without an intent lost its disk.
    """
    with runner.lock(commands.lock_path(run.target)) as lock:
        if not Step.objects.filter(pk=step.pk, state=S.PENDING, version=step.version).exists():
            return  # claimed meanwhile; whoever holds the lock is the only one who claims, so this cannot change now
        with audit.turn():
            if not _may_go_on(run, step, now):
                return
            # only now: by a number that somebody wrote it would empty the folder of another step, with its output
            folder = commands.make_next_folder(step)
            runner.stamp(folder)
            replace(commands.intent_of(run, step), token=folder.name).write(folder)
            hold(run)  # who ends it looks for effects while he holds it
            told = standing.begun_as(step)
            move(step, S.RUNNING, by=SYSTEM, now=now, data=told, attempt=step.attempt + 1, started_at=now)
            if step.effect:
                journal.intend(step, now=now)
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
        _attend(run, step, now)
        return False
    if (ended is None or was_killed(ended)) and not (folder / OUTCOME).exists():
        started = commands.may_have_started(folder)
        found = recovering.recover(run, step, started=started, now=now)
        return found is not None and _record_success(run, step, found, now)
    ended = ended or {"code": None}  # its runner was lost, but the command had said its last word, which stands
    outcome = outcome_in(folder) or Outcome(result="errored", sentence=how(ended))
    if outcome.ok and (ended["code"] in (0, None) or was_killed(ended)):
        return _record_success(run, step, outcome, now)
    _record_failure(run, step, outcome, ended, now)
    return False


def _attend(run: Run, step: Step, now: datetime) -> None:
    """Pass an abort on to a running command; give up one that has no runner and is long past its time-out."""
    folder, timeout_s = recovering.at_work(step)
    if folder == commands.folder_of(step) and standing.is_to_abort(run):
        runner.cancel(folder)  # not a probe: its answer says what the abort has to undo
    overdue_s = runner.age_s(folder) - timeout_s - OVERDUE_S
    lost = overdue_s > STOPPED_S or (overdue_s > 0 and not runner.is_alive(folder))
    if lost and recovering.was_found_so(folder):
        runner.cancel(folder)  # a worker that was stopped between claim and start must not start it later
        why = "its runner was lost, and something still holds the target's lock long after its time-out"
        recovering.give_up(run, step, why=why, now=now)


def _record_failure(run: Run, step: Step, outcome: Outcome, ended: dict[str, Any], now: datetime) -> None:
    """Record a step that said no, broke, was aborted, or found that the target has seen more than the database."""
    if not runner.was_started(commands.folder_of(step)):
        journal.did_not_happen(step, "cancelled before it was started", now=now)
    elif outcome.facts.get(UNTOUCHED):
        journal.did_not_happen(step, outcome.sentence, now=now)
    if outcome.result == STALE:
        endings.unknown(run, step, why=outcome.sentence, now=now)
    elif ended.get("cancelled") and standing.is_to_abort(run):
        endings.aborted(run, now=now)
    else:
        endings.failed(run, step, outcome, now=now)


def _record_success(run: Run, step: Step, outcome: Outcome, now: datetime) -> bool:
    """Record a success with all that it found; what cannot be kept makes it a failure. Return whether it was kept."""
    try:
        _keep(run, step, outcome, now)
    except (KeyError, OSError, ValueError, actions.Refused) as error:
        if ballast.is_full(error):
            raise  # no fault of the step: it is recorded once there is room, first with the reserve's
        step.refresh_from_db()
        run.refresh_from_db(from_queryset=Run.objects.with_places())
        sentence = f"what it left cannot be kept: {type(error).__name__}: {error}"
        endings.failed(run, step, Outcome(result="errored", sentence=sentence), now=now)
        return False
    return True


def _keep(run: Run, step: Step, outcome: Outcome, now: datetime) -> None:
    files = endings.store_files(step, outcome)
    with audit.turn():
        document = {"result": outcome.result, "sentence": outcome.sentence, "facts": outcome.facts}
        move(step, S.SUCCEEDED, by=SYSTEM, now=now, why=outcome.sentence, ended_at=now, outcome=document)
        step.effects.filter(attempt=step.attempt).update(observed_at=now, observed=outcome.sentence[:300])
        endings.keep_facts(run, step, outcome, files, now=now)
