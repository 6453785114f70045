"""Puts rows back to what the audit tells of them, where somebody wrote something else: a run has to end somewhere.

Only how a run or rollout stands, and which kind of run it is: by these the engine knows what may come next. Whoever
does it ends or parks the run in the same turn, and says why.
"""

from django.db.models import F

from monitoring import audit_told
from monitoring.models import AuditEntry
from rollout import transitions
from rollout.models import Rollout, Run


def put_back(row: Run | Rollout) -> None:
    """Let a row stand as the newest entry about it says, if entries tell of it and can be read."""
    kind = transitions.KINDS[type(row)]
    entries, wrong = audit_told.told(AuditEntry.objects.filter(subject_kind=kind, subject_id=str(row.pk)))
    states = [one["new"] for one in entries if one["new"] and one["action"].startswith(f"{kind}.")]
    if wrong or not states:
        return
    told = {"state": states[-1]}
    if isinstance(row, Run):
        told["kind"] = entries[0]["action"].split(".")[1]  # run.deploy.opened
    if any(getattr(row, name) != value for name, value in told.items()):
        type(row)._default_manager.filter(pk=row.pk).update(**told, version=F("version") + 1)
        row.refresh_from_db(fields=[*told, "version"])
