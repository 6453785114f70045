"""Lets a queued run begin: when its target is free, as it was opened, with a consent that is asked once more."""

from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from approvals import ledger
from monitoring import anchors, audit
from rollout import actions, as_told, borne, contradicted, endings, epochs, freezing, glass, opening, standing, to_light
from rollout.models import BreakGlass, Rollout, Run
from rollout.permits import TargetHeldError, require_clock, require_room
from rollout.states import RUN_ACTIVE
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.transitions import move


def begin(run: Run, now: datetime) -> bool:
    """Let a queued run begin, if its target is free; return whether it did."""
    if not standing.is_to_abort(run) and not _is_free(run, now):
        return False
    if why := _why_not(run):
        changed = freezing.not_as_signed(run.rollout) if run.kind == Run.Kind.DEPLOY else ""
        contradicted.end(run, None, why=changed or why, now=now)
        return False
    if standing.is_to_abort(run):
        endings.aborted(run, now=now)
        return False
    return _begins(run, now)


def _why_not(run: Run) -> str:
    """Return why a run that waits does not begin: by what the audit tells of it, or by the anchor file."""
    with audit.turn():
        if why := standing.not_told(run):  # by what is told it may be over
            return f"{why}{standing.EDITED}"
        return "" if standing.is_to_abort(run) else anchors.refusal()


def _is_free(run: Run, now: datetime) -> bool:
    """Say whether nothing holds the target, before anything is asked that takes long; let the page say what does.

    It is asked again as the run begins.
    """
    try:
        require_room()
        # first: whether something blocks the target is asked of rows
        edited = _make_way(run, now) if as_told.holders(run.target, but=run) else ""
        if run.kind == Run.Kind.DEPLOY:
            actions.require_free(run.target, now=now, emergency=BreakGlass.objects.filter(run=run).exists())
    except TargetHeldError as held:  # locked or frozen after the click, no room: it waits, and can be aborted
        opening.say_why(run.rollout, str(held))
        return False
    others = Run.objects.filter(target=run.target_id, state__in=RUN_ACTIVE).exclude(pk=run.pk)
    if others.exists():
        opening.say_why(run.rollout, edited)
        return False
    return True


def _make_way(run: Run, now: datetime) -> str:
    """Put back rows that seem to hold the target; return which one does still, though the audit does not tell so."""
    with audit.turn():
        to_light.bring(run.target, now=now)  # first: else it would be put back with nobody told
        as_told.make_way(run.target, but=run)
        return as_told.in_the_way(run.target, but=run)


def _begins(run: Run, now: datetime) -> bool:
    """Move a run, and the rollout of a deploy with it, to RUNNING; return whether nothing was in the way after all."""
    try:
        with audit.turn():
            opening.say_why(run.rollout, "")
            if to_light.bring(run.target, now=now):
                return False  # nothing begins beside it
            as_told.make_way(run.target, but=run)
            if run.kind == Run.Kind.DEPLOY:
                _ask_again(run.rollout, run, now)
            epoch = epochs.next_epoch(run.target)
            move(run, N.RUNNING, by=opening.opener(run), now=now, started_at=now, epoch=epoch)
    except IntegrityError:  # another run, or an active rollout, holds the target: pulse asks again
        opening.say_why(run.rollout, _make_way(run, now))
        return False
    except TargetHeldError as held:
        opening.say_why(run.rollout, str(held))
        return False
    except (actions.Refused, PermissionDenied) as refusal:
        endings.refused(run, why=str(refusal), now=now)
        return False
    return True


def _ask_again(rollout: Rollout, run: Run, now: datetime) -> None:
    """Ask for consent in the transaction that starts the run: rules, roles, digest, lock and freeze as they are now."""
    broken = BreakGlass.objects.filter(run=run, rollout=rollout).select_related("sign_off").first()
    actions.require_free(run.target, now=now, emergency=broken is not None)
    starter = User.objects.get(pk=run.started_by_id or 0)
    actions.require(starter, run.target, {"deploy-operator", "ops"})
    changed = freezing.changed(rollout)
    if changed:
        raise actions.Refused(f"changed since it was signed: {', '.join(changed)}")
    if rollout.sign_off is None or (why := borne.not_about(rollout.sign_off, rollout)):
        raise actions.Refused(why if rollout.sign_off else "there is no sign-off")
    require_clock(rollout.sign_off, now=now)
    if broken is not None:
        glass.check(broken, now=now)
    else:
        ledger.use(rollout.sign_off, by=opening.opener(run), now=now)
    move(rollout, R.RUNNING, by=opening.opener(run), now=now, started_at=now)
