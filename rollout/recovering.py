"""Decides about a step whose runner is gone without a word: start it again where that is safe, ask, or park it.

Three classes, which drivers declare: `resumable` is repeated, `probeable` is asked, `opaque` waits for a person.
A probe is a command like any other, under a runner that holds the target's lock; it has no effect, so that one whose
own runner was lost is sent again.
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from monitoring.audit import SYSTEM
from rollout import commands, endings, journal, nudge, probing, runner
from rollout.drivers import Answer
from rollout.intent import Outcome
from rollout.models import Run, Step
from rollout.states import StepState as S
from rollout.transitions import move

MAX_ATTEMPTS = 3
MAX_PROBES = 3
PROBE_S = 60
OVERDUE = "overdue"
LOST = "its command was started and nobody saw how it ended"


def recover(run: Run, step: Step, *, started: bool, now: datetime) -> Outcome | None:
    """Go on with a claimed step that nobody runs any more; return its outcome when the target says that it was done.

    The lock was held from before the claim, by the worker and then by its runner, and it is free now: so nobody is
    at it, however little time has passed, and whatever the clock says.
    """
    if not started:
        _never_started(run, step, now)
    elif not step.effect or commands.driver_of(run).recovery == "resumable":
        _repeat(run, step, why="its runner was lost; what it does can be repeated", now=now)
    elif commands.driver_of(run).recovery == "probeable":
        return _probed(run, step, now)
    else:
        endings.unknown(run, step, why=LOST, now=now)
    return None


def at_work(step: Step) -> tuple[Path, int]:
    """Return the folder, and the time-out (seconds), of what holds the lock for a step: its newest probe, or itself."""
    probes = commands.probe_folders(step)
    return (probes[-1], PROBE_S) if probes else (commands.folder_of(step), step.timeout_s)


def was_found_so(folder: Path) -> bool:
    """Say whether it was found overdue before, and note that it is.

    Who holds the lock may be another worker, a moment before he makes the folder of a probe: the next look tells.
    """
    try:
        (folder / OVERDUE).mkdir(mode=0o700)
    except FileExistsError:
        return True
    return False


def give_up(run: Run, step: Step, *, why: str, now: datetime) -> None:
    """Park a step that may have changed something; one that changes nothing has simply failed."""
    if step.effect:
        endings.unknown(run, step, why=why, now=now)
    else:
        endings.failed(run, step, Outcome(result="errored", sentence=why), now=now)


def _never_started(run: Run, step: Step, now: datetime) -> None:
    journal.did_not_happen(step, "its command was never started", now=now)
    _repeat(run, step, why="never started", now=now)


def _repeat(run: Run, step: Step, *, why: str, now: datetime) -> None:
    if step.attempt < MAX_ATTEMPTS:
        move(step, S.PENDING, by=SYSTEM, now=now, why=why)
        nudge.run(run.pk)
    else:
        sentence = f"it was tried {step.attempt} times, and its runner was lost each time"
        endings.failed(run, step, Outcome(result="errored", sentence=sentence), now=now)


def _probed(run: Run, step: Step, now: datetime) -> Outcome | None:
    """Act on the answer of the newest probe, or send one.

    Whoever probes holds the lock, so with it in hand no probe is under way: what is not there now never comes.
    """
    with runner.lock(commands.lock_path(run.target)) as lock:
        probes = commands.probe_folders(step)
        outcome = _said_by(probes[-1]) if probes else None
        if outcome is None and len(probes) < MAX_PROBES:
            _send(run, step, len(probes), lock)
            return None
    if outcome is not None:
        return _answered(run, step, outcome, now)
    endings.unknown(run, step, why=f"{LOST}, and {len(probes)} probes of the target brought no answer", now=now)
    return None


def _said_by(folder: Path) -> Outcome | None:
    """Return the answer of a probe, also of one whose runner was lost afterwards; None when there is none to read."""
    ended = runner.read_exit(folder)
    if ended is not None and ended["code"] != 0:
        return None
    try:
        outcome = Outcome.read(folder)
    except (OSError, ValueError, TypeError):
        return None
    return outcome if outcome and outcome.ok else None


def _send(run: Run, step: Step, sent: int, lock: runner.TargetLock) -> None:
    if not Step.objects.filter(pk=step.pk, state=S.RUNNING, version=step.version).exists():
        return  # decided meanwhile
    folder = commands.folder_of(step) / f"{commands.PROBE}{sent + 1}"
    folder.mkdir(mode=0o700)
    runner.stamp(folder)
    replace(commands.intent_of(run, step), effect=False).write(folder)  # a probe passes no fence
    argv = commands.argv_of(step, folder)
    lock.start(folder, argv, cwd=commands.HOME, env=commands.environment(), timeout_s=PROBE_S)


def _answered(run: Run, step: Step, outcome: Outcome, now: datetime) -> Outcome | None:
    answer = outcome.facts.get("answer")
    if answer == "done":
        facts = probing.found(run, step, Answer("done", str(outcome.facts.get("live", "")), outcome.sentence))
        return Outcome(result="ok", sentence=f"the target says that it was done: {outcome.sentence}", facts=facts)
    if answer == "not_done":
        journal.did_not_happen(step, outcome.sentence, now=now)
        _repeat(run, step, why=f"the target says that it did not happen: {outcome.sentence}", now=now)
    else:
        endings.unknown(run, step, why=f"{LOST}; the target says: {outcome.sentence}", now=now)
    return None
