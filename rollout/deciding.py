"""A person decides what became of a step that nobody saw end: it was done, it was not, or it is tried again.

Each is one transaction. What is tried again may be an effect for the second time, so that takes two people.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F

from approvals import ledger, proven
from approvals.ledger import Refused
from monitoring import anchors, audit, audit_told, incidents
from monitoring.audit import Actor
from monitoring.models import Incident
from rollout import (
    access,
    as_told,
    attempted,
    endings,
    epochs,
    journal,
    nudge,
    permits,
    probing,
    standing,
    states,
    transitions,
)
from rollout.drivers import Answer
from rollout.models import Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import ConflictError, move

AGAIN_WITHIN = timedelta(hours=1)
ASKED = "run.again_asked"


def done(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime, seen: int | None = None) -> None:
    """Record that the unknown step did happen, and go on with the next one."""
    run, step = _asked(rollout, user=user, why=why, by=by, seen=seen)
    _require_may_go_on(run)
    _require_told(run, step)
    if not step.effect:
        raise Refused("This step changes nothing, it proves something; a proof is not taken on trust. Try it again.")
    answer = _answer(run, step)
    if answer.answer == "not_done":
        raise Refused(f"The target says that it did not happen: {answer.sentence}. Choose not done, or try again.")
    said = f"{by.name} says that it was done: {why.strip()}"
    facts = probing.found(run, step, answer)
    with audit.turn():
        document = {"result": "ok", "sentence": said, "facts": facts}
        move(step, S.SUCCEEDED, by=by, now=now, why=said, ended_at=now, outcome=document)
        step.effects.filter(attempt=step.attempt).update(observed_at=now, observed=said[:300])
        if facts:
            Target.objects.filter(pk=run.target_id).update(**facts)
        _go_on(run, why=said, by=by, now=now)
        _tell(run, step, "run.decided_done", said, by=by, now=now)


def not_done(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime, seen: int | None = None) -> None:
    """Record that the unknown step did not happen: undo what went before it, or end where nothing did."""
    run, step = _asked(rollout, user=user, why=why, by=by, seen=seen)
    _require_told(run, step)
    if run.kind == Run.Kind.DEPLOY and (unclear := attempted.changes(rollout).unclear):
        raise Refused(f"What there is to undo is not clear: {unclear}. Roll back, or put it right by hand.")
    said = f"{by.name} says that it was not done: {why.strip()}"
    with audit.turn():
        document = {"result": "failed", "sentence": said, "facts": {}}
        move(step, S.FAILED, by=by, now=now, why=said, ended_at=now, outcome=document)
        if probing.unseen(run):  # it may still happen: then it counts, and what follows waits for that host
            step.effects.filter(attempt=step.attempt).update(observed_at=now, observed=said[:300])
        else:
            journal.did_not_happen(step, said, by=by, now=now)
        _tell(run, step, "run.decided_not_done", said, by=by, now=now)
        endings.not_done(run, step, why=f"{step.title}: {said}", now=now)


def try_again(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime, seen: int | None = None) -> bool:
    """Ask for the unknown step to be started again, or confirm what another person asked for; return whether it is."""
    run, step = _asked(rollout, user=user, why=why, by=by, seen=seen)
    _require_may_go_on(run)
    if run.again_by_id is None or run.again_at is None or not timedelta(0) <= now - run.again_at <= AGAIN_WITHIN:
        _ask(run, step, user=user, why=why.strip(), by=by, now=now)
        return False
    if run.again_by_id == user.pk:
        raise Refused("You asked for it yourself: another person has to confirm it, because it may happen twice.")
    if not _may_still(run):
        raise Refused(f"{run.again_by} asked for it, but may not do so any more: another person has to ask again.")
    said = f"asked by {run.again_by}: {run.again_why}; confirmed by {by.name}: {why.strip()}"
    with audit.turn():
        if wrong := _not_asked(run, step):
            raise Refused(f"The audit does not bear out that {run.again_by} asked: {wrong}; the database was edited.")
        move(step, S.PENDING, by=by, now=now, why=said, ended_at=None)
        _go_on(run, why=said, by=by, now=now)
        _tell(run, step, "run.again_confirmed", said, by=by, now=now)
    return True


def _asked(rollout: Rollout, *, user: User, why: str, by: Actor, seen: int | None) -> tuple[Run, Step]:
    """Return the run and the step that are unknown; raise Refused while nothing can be decided about them.

    `seen` is the version of the run that the person looked at: it changes with every step, decision and request.
    """
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.STOPPERS)
    permits.require_reason(why)
    run = Run.objects.with_places().filter(rollout=rollout, state=N.UNKNOWN).first()
    step = run.steps.filter(state=S.UNKNOWN).first() if run is not None else None
    if rollout.state != R.UNKNOWN:
        as_told.set_right(rollout)
    if rollout.state != R.UNKNOWN or run is None or step is None:
        raise Refused(f"There is nothing to decide: the rollout is {states.label(rollout.state)}.")
    if seen is not None and seen != run.version:
        raise Refused("Something else is asked by now than when you looked. Look again, then decide.")
    if probing.is_held(run.target, run):
        raise Refused(f"A command still holds {rollout.target}; wait until it has ended.")
    return run, step


def _require_told(run: Run, step: Step) -> None:
    """Refuse to decide about a step of which the audit tells something else: the answer would stand in it."""
    if wrong := standing.at_work(run, step):
        raise Refused(f"This is not what became unknown: {wrong}. Roll back, or put it right by hand.")


def _may_still(run: Run) -> bool:
    """Say whether who asked for another attempt is still one of those who may."""
    asker = run.again_by
    if asker is None or not asker.is_active:
        return False
    return bool(ledger.current_roles(asker, run.target.component.name) & access.STOPPERS)


def _not_asked(run: Run, step: Step) -> str:
    """Return how the audit does not tell that another attempt was asked for as the row says; empty when it does.

    The chain has to hold since, so that no entry of an answer is hidden. Names count for nothing: they may be erased.
    """
    about = transitions.subject_of(run)
    entries, wrong = audit_told.about(about.kind, [about.id])
    if wrong:
        return wrong[0]
    newest = next((one for one in reversed(entries) if one["new"] or one["action"] == ASKED), None)
    try:
        if newest is None or newest["action"] != ASKED or not _tells_of(newest, run, step):
            return "no entry that was not answered since tells of it"
    except proven.UNREADABLE as error:
        return f"it cannot be read: {error!r}"
    # as for its steps: a rollback waits for no anchor file that knows another audit
    aloof = run.kind == Run.Kind.ROLLBACK and anchors.refusal()
    return next(iter(audit_told.broken_from(newest["seq"], by_anchor=not aloof)), "")


def _tells_of(entry: dict[str, Any], run: Run, step: Step) -> bool:
    """Say whether an entry tells that whom the run's row names asked, then and for that reason, for this attempt."""
    told, at = entry["data"], run.again_at
    return bool(
        (told["step"], told["attempt"]) == (step.number, step.attempt)
        and entry["actor"]["id"] == run.again_by_id
        and at is not None
        and entry["at"] == audit.stamp(at)
        and entry["why"].endswith(f": {run.again_why}")
    )


def _require_may_go_on(run: Run) -> None:
    if standing.is_to_abort(run):
        raise Refused(f"{run.abort_by} asked to abort it: it will not go on. Choose not done, or roll back.")
    if unseen := probing.unseen(run):
        raise Refused(f"{unseen} Wait for it, or choose not done: a rollback waits for that host as well.")


def _answer(run: Run, step: Step) -> Answer:
    if run.host_id == settings.GR_HOST_ID:
        return probing.ask(run, step)
    seen = run.probe
    return Answer(seen.get("answer", "unknown"), str(seen.get("live", "")), str(seen.get("sentence", "")))


def _ask(run: Run, step: Step, *, user: User, why: str, by: Actor, now: datetime) -> None:
    with audit.turn():
        asked = Run.objects.filter(pk=run.pk, state=N.UNKNOWN, version=run.version)
        if asked.update(again_by=user, again_why=why, again_at=now, version=F("version") + 1) != 1:
            raise ConflictError(f"{run} was decided, or asked for, by somebody else just now")
        _tell(run, step, ASKED, f"{by.name} asks for it to be tried again: {why}", by=by, now=now)
        key = f"{run.pk}-{run.version}"
        transitions.tell(run, "try_again_asked", "critical", why=why, by=by, now=now, key=key, step=step.title)


def _go_on(run: Run, *, why: str, by: Actor, now: datetime) -> None:
    """Let an unknown run and its rollout go on, under an epoch that the target has not seen."""
    epochs.lift_for(run)
    epoch = epochs.next_epoch(run.target)
    move(run, N.RUNNING, by=by, now=now, why=why, epoch=epoch, again_by=None, again_why="", again_at=None)
    to = R.ROLLING_BACK if run.kind == Run.Kind.ROLLBACK else R.RUNNING
    move(run.rollout, to, by=by, now=now, why=why, state_why="")
    nudge.run(run.pk)


def _tell(run: Run, step: Step, action: str, said: str, *, by: Actor, now: datetime) -> None:
    data: dict[str, Any] = {"step": step.number, "title": step.title, "attempt": step.attempt}
    audit.append(action=action, by=by, subject=transitions.subject_of(run), why=said, data=data, now=now)
    if run.incident is not None and run.incident.state != Incident.State.CLOSED:
        incidents.note(run.incident, text=f"{step.title}: {said}", by=by, now=now)
