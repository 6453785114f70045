"""Puts rows back to what the audit tells of them, where somebody wrote something else: a run has to end somewhere.

Only how a run or rollout stands, and of which kind and rollout a run is: by these the engine knows what may come next.
Whoever does it ends or parks the run in the same turn, and says why.
"""

import logging

from django.db.models import F

from monitoring import audit_told
from rollout import opened, transitions
from rollout.models import Rollout, Run

log = logging.getLogger(__name__)


def put_back(row: Run | Rollout) -> None:
    """Let a row stand as the newest entry about it says, if entries tell of it and can be read.

    A run is of the kind, and of the rollout, for which the one entry that opened it was written.
    """
    kind = transitions.KINDS[type(row)]
    entries, wrong = audit_told.about(kind, [row.pk])
    states = [one["new"] for one in entries if one["new"] and one["action"].startswith(f"{kind}.")]
    if wrong or not states:
        return
    told = {"state": states[-1]}
    if isinstance(row, Run) and (opening := opened.entry_of(entries)):
        told |= {"kind": opening["action"].split(".")[1], "rollout_id": opening["data"].get("rollout", row.rollout_id)}
    # as it stands now: whoever read it before somebody moved it has lost a race, and is to be told so by his own move
    edited = type(row)._default_manager.filter(pk=row.pk).exclude(**told)
    if edited.update(**told, version=F("version") + 1):
        log.warning("the row of %s %s was edited; the audit tells %s, and so it stands again", kind, row.pk, told)
        row.refresh_from_db(fields=[*told, "version"])
