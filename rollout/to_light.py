"""Brings back what rows hide: a run at work whose row says that it is over, which nobody would look at, and a release.

Of a release that is live, and whose row says that it is not, no page offers the rollback.
"""

import logging
from datetime import datetime

from django.db import IntegrityError, transaction

from monitoring import audit
from rollout import alarms, as_told, states
from rollout.models import Target

WHY = "a step of it is at work, as the audit tells, and was looked at by nobody; the database was edited"

DISOWNED = "so the audit tells, and so it stands again; the database was edited"

log = logging.getLogger(__name__)


def look(now: datetime) -> None:
    """Put back every run at work that its row hides, whosever host it is on, and tell people of each.

    One target that cannot be looked at must not keep the others from it.
    """
    for target in Target.objects.select_related("component", "environment"):
        try:
            if as_told.hidden(target):
                bring(target, now=now)
            if as_told.is_disowned(target):
                _own(target, now=now)
        except Exception:
            log.exception("%s could not be looked at for a run that its row hides; it is tried again", target)


def _own(target: Target, *, now: datetime) -> None:
    """Put back the rollout that last succeeded at a target, where its row says something else, and tell people."""
    with audit.turn():
        rollout = as_told.is_disowned(target)
        if rollout is None:
            return
        said = rollout.state
        as_told.set_right(rollout)
        run = rollout.runs.order_by("-pk").first()
        if run is not None and rollout.state != said:
            title = f"Rollout {rollout.pk} succeeded: only its row said {states.label(said)}"
            alarms.was_edited(run, title, why=DISOWNED, now=now)


def bring(target: Target, *, now: datetime) -> bool:
    """Put back the run at work at a target that its row hides, and tell people; return whether there was one."""
    with audit.turn():  # what was seen without it may just have ended
        run, brought = as_told.hidden(target), None
        try:
            with transaction.atomic():
                brought = as_told.bring_to_light(target)
        except IntegrityError:  # another row holds its place, and cannot be put back either
            if run is not None:
                alarms.is_hidden(run, WHY, now=now)
            return False
        if brought is not None:
            title = f"Run {brought.pk} goes on: only its row said that it does not"
            alarms.was_edited(brought, title, why=WHY, now=now)
        elif run is not None and as_told.is_unclear(run):
            alarms.is_hidden(run, WHY, now=now)
        return brought is not None
