"""The review of a rollback after the fact, by a person who did not start it (DESIGN.md section 6)."""

from datetime import datetime

from django.contrib.auth.models import User

from approvals import people
from approvals.ledger import Refused
from monitoring import audit, unseen
from monitoring.audit import Actor
from rollout import access, actions, states, transitions
from rollout.models import Rollout, Run
from rollout.permits import in_person


def review(rollout: Rollout, *, user: User, note: str, by: Actor, now: datetime) -> Run:
    """Record that another person looked at the last rollback; raise Refused when there is none, or it was his own."""
    in_person(by, user)
    actions.require(user, rollout.target, access.RESPONDERS | access.DECIDERS)
    if unseen.seen_length(note) < unseen.REASON_MIN:
        raise Refused("Say in a sentence what you looked at and what you found: it stands in the audit.")
    ended = Run.objects.filter(rollout=rollout, kind=Run.Kind.ROLLBACK, state__in=states.RUN_FINAL)
    run = ended.order_by("-pk").first()
    if run is None:
        raise Refused("There is no rollback to review.")
    aborted = Run.objects.filter(rollout=rollout, abort_requested=True, abort_by=user.get_username()).exists()
    if run.started_by_id == user.pk or aborted:
        raise Refused("Whoever started a rollback cannot review it; another person has to.")
    with audit.turn():
        mine = Run.objects.filter(pk=run.pk, reviewed_at=None)
        if mine.update(reviewed_by=people.printed_name(user)[:150], reviewed_at=now) != 1:
            raise Refused(f"It was reviewed already, by {run.reviewed_by}.")
        audit.append(action="run.reviewed", by=by, subject=transitions.subject_of(run), why=note, now=now)
    run.refresh_from_db()
    return run
