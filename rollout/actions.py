"""What a person may do to a rollout: submit, decide, start, abort, roll back, accept, cancel.

Every verb asks for the person's roles before it acts, and raises Refused with a sentence for the reader. `within` is
the transaction to act in, where a caller keeps more in it: only what writes stands there, everybody waits for it.
What a draft is made of stands in `drafting`, what a manifest is frozen from in `freezing`.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError

from approvals import ledger
from approvals.ledger import Refused
from approvals.models import Decision, SignOff
from approvals.signatures import Signed
from monitoring import audit, watcher
from monitoring.audit import SYSTEM, Actor
from rollout import (
    access,
    as_told,
    attempted,
    borne,
    checklist,
    evidence,
    freezing,
    missing,
    nudge,
    opening,
    states,
    transitions,
)
from rollout.models import Backup, Rollout, Run
from rollout.permits import in_person, require, require_free, require_reason, require_room
from rollout.standing import ABORT, is_to_abort
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.transitions import ConflictError

__all__ = ["ConflictError", "Refused", "require", "require_free"]
Within = AbstractContextManager[object] | None


def submit(rollout: Rollout, *, user: User, by: Actor, now: datetime) -> Run:
    """Start the validate run; when it passes, the manifest is frozen and the sign-off opened."""
    in_person(by, user)
    require(user, rollout.target, access.OWNERS | access.DECIDERS)
    if rollout.state != R.DRAFT:
        raise Refused(f"Only a draft can be submitted; this rollout is {states.label(rollout.state)}.")
    lacking = checklist.missing(evidence.checklist(rollout), brought_only=True)
    if lacking:
        raise Refused(f"Still missing: {', '.join(lacking)}.")
    if not rollout.monitoring_accepted:
        raise Refused("Accept the monitoring defaults, or your tuning of them, first.")
    freezing.require_reachable(rollout, now=now)
    require_room()
    with audit.turn():
        previous = rollout.target.live_version
        transitions.move(rollout, R.VALIDATING, by=by, now=now, state_why="", previous_version=previous, sign_off=None)
        run = opening.validate_run(rollout, user=user, now=now)
    nudge.run(run.pk)
    return run


def decide(
    rollout: Rollout,
    *,
    user: User,
    kind: str,
    duty: str,
    digest_seen: str,
    reason: str,
    authenticated_at: datetime | None,
    diff_opened: bool,
    by: Actor,
    now: datetime,
    on_behalf_of: int | None = None,
    method: str = "password",
    signed: Signed | None = None,
    within: Within = None,
) -> Decision:
    """Record an approval, rejection or revocation over the digest that the person saw, and move the rollout with it."""
    freezing.recheck(rollout, now=now)
    if rollout.sign_off is None or rollout.state not in (R.WAITING, R.APPROVED):
        raise Refused(
            f"Nothing can be decided here: the rollout is {states.label(rollout.state)}. {rollout.state_why}".strip()
        )
    with within or audit.turn():
        decision = ledger.record(
            rollout.sign_off,
            user=user,
            kind=kind,
            duty=duty,
            digest_seen=digest_seen,
            reason=reason,
            authenticated_at=authenticated_at,
            by=by,
            diff_opened=diff_opened,
            now=now,
            on_behalf_of=on_behalf_of,
            method=method,
            signed=signed,
        )
        _follow(rollout, decision, by=by, now=now)
    return decision


def start(rollout: Rollout, *, user: User, by: Actor, now: datetime, within: Within = None) -> Run:
    """Queue the deploy run behind the target's lock; the sign-off is asked again in the transaction that begins it."""
    in_person(by, user)
    require(user, rollout.target, access.STARTERS | {access.OPS})
    if changed := freezing.recheck(rollout, now=now):
        raise Refused(f"The sign-offs are void: changed since they were given: {', '.join(changed)}. Submit it again.")
    if rollout.state != R.APPROVED or rollout.sign_off is None:
        raise Refused(why_not_startable(rollout, now=now))
    require_free(rollout.target, now=now)
    with within or audit.turn():
        ledger.may_start(rollout.sign_off, by=by, now=now)
        transitions.move(rollout, R.QUEUED, by=by, now=now, why="start clicked")
        run = opening.deploy_run(rollout, user=user, via=by.via, now=now)
    nudge.run(run.pk)
    return run


def abort(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Stop what is going on: before the first effect nothing was changed, after it the target is rolled back."""
    in_person(by, user)
    require(user, rollout.target, access.STOPPERS)
    require_reason(why)
    run = rollout.runs.filter(state__in=[N.QUEUED, N.RUNNING]).order_by("-pk").first()
    if run is None or run.kind == Run.Kind.ROLLBACK:
        raise Refused(f"There is no run to abort: the rollout is {states.label(rollout.state)}.")
    with audit.turn():
        asked = Run.objects.filter(pk=run.pk, state__in=[N.QUEUED, N.RUNNING])
        if is_to_abort(run) or not asked.update(abort_requested=True, abort_by=by.name, abort_why=why):
            raise Refused("The abort was asked for already, or the run has just ended.")
        audit.append(action=ABORT, by=by, subject=transitions.subject_of(run), why=why, now=now)
    nudge.run(run.pk)


def roll_back(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime, backup: Backup | None = None) -> Run:
    """Bring the target back to the backup that was taken before the deploy (or to a given one, verified by the caller).

    One person with a reason is enough.
    """
    in_person(by, user)
    as_told.to_its_place(rollout)
    require(user, rollout.target, access.STOPPERS)
    require_reason(why)
    if rollout.state not in states.ROLLBACK_FROM:
        as_told.set_right(rollout)
    if rollout.state not in states.ROLLBACK_FROM or not attempted.may_have_changed(rollout):
        raise Refused(f"There is nothing to roll back: the rollout is {states.label(rollout.state)}.")
    restored = backup or opening.backup_of(rollout)
    if restored is None:
        raise Refused("There is no verified backup to go back to.")
    if missing.is_gone(restored, now=now):
        raise Refused(f"The backup {restored} was {restored.removed_why}; name another one that still exists.")
    newer = opening.newer_change(rollout)
    if newer is not None:
        raise Refused(
            f"Rollout {newer.pk} ({newer.release.version}) changed {rollout.target} after it; roll that one back first."
        )
    try:
        run = opening.rollback_run(rollout, user=user, why=why, by=by, automatic=False, now=now, backup=backup)
    except IntegrityError:
        raise Refused(f"Another run holds {rollout.target}; wait for it, or abort it, first.")
    nudge.run(run.pk)
    return run


def accept(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Let a release stay whose watch ended without a clear verdict."""
    in_person(by, user)
    require(user, rollout.target, access.STOPPERS)
    require_reason(why)
    run = rollout.runs.filter(kind=Run.Kind.DEPLOY, state=N.RUNNING).first()
    if run is None or run.watch is None or not rollout.needs_decision:
        raise Refused("This rollout does not wait for a decision.")
    seen = run.watch.outcome
    try:
        with audit.turn():
            run.watch.refresh_from_db()
            if run.watch.outcome != seen:
                raise Refused(f"It is {run.watch.get_outcome_display()} by now: look again, then decide.")
            left = rollout.automatic_rollback_used or attempted.is_left_to_people(rollout)
            # of which the audit tells something else, whatever its row says: it is asked about all the same
            anyhow = not borne.is_outcome(run, run.watch)
            watcher.accept(run.watch, by=by, why=why, now=now, also_breached=left or anyhow, also_passed=anyhow)
    except watcher.Conflict as lost:
        raise Refused(str(lost))
    nudge.run(run.pk)


def cancel(rollout: Rollout, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Give up a rollout that has not begun."""
    in_person(by, user)
    require(user, rollout.target, access.OWNERS | access.STOPPERS)
    require_reason(why)
    if rollout.state not in (R.DRAFT, R.WAITING, R.APPROVED):
        raise Refused(f"It can no longer be cancelled: it is {states.label(rollout.state)}. Abort it instead.")
    with audit.turn():
        if rollout.sign_off is not None:
            ledger.supersede(rollout.sign_off, why=f"cancelled: {why}", by=by, now=now)
        transitions.move(rollout, R.CANCELLED, by=by, now=now, why=why, state_why=why, ended_at=now)


def expire_due(now: datetime) -> None:
    """Close the sign-offs whose time is over, and the rollouts that waited for them."""
    why = "the sign-off was not complete, or not used, in time"
    with audit.turn():
        for sign_off in ledger.expire_due(now):
            for rollout in Rollout.objects.filter(sign_off=sign_off, state__in=[R.WAITING, R.APPROVED, R.QUEUED]):
                for run in rollout.runs.filter(kind=Run.Kind.DEPLOY, state=N.QUEUED):
                    opening.end_run(run, N.CANCELLED, why=why, by=SYSTEM, now=now)
                transitions.move(rollout, R.EXPIRED, by=SYSTEM, now=now, why=why, state_why=why, ended_at=now)


def why_not_startable(rollout: Rollout, *, now: datetime) -> str:
    """Return what is missing before this rollout can start, in a sentence."""
    if rollout.state == R.WAITING and rollout.sign_off is not None:
        missing = ledger.standing(rollout.sign_off, now=now).missing or ("one again, given while a clock was wrong",)
        return f"Sign-offs are missing: {', '.join(missing)}."
    return f"It cannot start: the rollout is {states.label(rollout.state)}. {rollout.state_why}".strip()


def _follow(rollout: Rollout, decision: Decision, *, by: Actor, now: datetime) -> None:
    """Move the rollout to where its sign-off stands after a decision."""
    sign_off = SignOff.objects.get(pk=decision.sign_off_id)
    wanted = {"OPEN": R.WAITING, "COMPLETE": R.APPROVED, "REJECTED": R.REJECTED}[sign_off.state]
    if wanted != rollout.state:
        ended: dict[str, Any] = {"ended_at": now, "state_why": decision.reason} if wanted == R.REJECTED else {}
        transitions.move(rollout, wanted, by=by, now=now, why=decision.reason, **ended)
    else:
        missing = ", ".join(ledger.standing(sign_off, now=now).missing)
        why = f"{decision.printed_name} {decision.get_kind_display()}; missing: {missing or 'nothing'}"
        key = f"decision-{decision.pk}"
        transitions.tell(rollout, "decision_recorded", "info", why=why, by=by, now=now, key=key, missing=missing)
