"""Removes the backups whose time is over: first the row says so, then the file goes, again after a crash in between."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import Q, QuerySet

from monitoring import audit, storage
from monitoring.models import Incident
from rollout import removable, retention, states, transitions
from rollout.archive import writer
from rollout.config_reader import ComponentError
from rollout.models import Backup, Rollout, Run, Target
from rollout.states import RolloutState as R

BY_RETENTION = "removed by retention"
# A file that is still there after the row said that it goes; later than this, somebody put it back.
AGAIN_WITHIN = timedelta(days=1)

log = logging.getLogger(__name__)


def run(now: datetime) -> int:
    """Remove what is over; return how many files went."""
    with audit.turn():
        for one in retention.over(_held(), now=now):
            _mark(one, now)
    marked = Backup.objects.filter(removed_why__startswith=BY_RETENTION, removed_at__gt=now - AGAIN_WITHIN)
    return sum(_unlink(backup, now) for backup in marked.select_related("target__component", "target__environment"))


def _held() -> list[retention.Held]:
    """Return every backup below GR_BACKUPS; one that was registered from elsewhere is not ours to remove."""
    days = {target.pk: _keep_days(target) for target in Target.objects.select_related("component", "environment")}
    needed = set(needed_now().values_list("pk", flat=True))
    return [
        retention.Held(
            id=one.pk,
            target=one.target_id,
            undo=one.kind == Backup.Kind.UNDO,
            verified=one.verified_at is not None,
            created_at=one.created_at,
            keep_days=days[one.target_id] if removable.is_ours(Path(one.path)) else None,
            needed=one.pk in needed,
        )
        for one in Backup.objects.filter(removed_at=None)
    ]


def needed_now() -> QuerySet[Backup]:
    """Return the backups that an open rollout, a possible rollback, a run that goes on or an open incident needs."""
    open_ones = Incident.objects.exclude(state=Incident.State.CLOSED)
    told_of = [int(pk) for pk in open_ones.filter(subject_kind="rollout").values_list("subject_id", flat=True)]
    rollouts = Rollout.objects.filter(
        Q(state__in=states.OPEN | states.ACTIVE | (states.ROLLBACK_FROM - {R.SUCCEEDED}))
        | Q(pk__in=_newest_succeeded())
        | Q(pk__in=told_of)
        | Q(runs__incident__in=open_ones)
    )
    runs = Run.objects.filter(Q(rollout__in=rollouts) | ~Q(state__in=states.RUN_FINAL))
    return Backup.objects.filter(
        Q(pk__in=rollouts.values("backup")) | Q(run__in=runs) | Q(pk__in=runs.values("restores"))
    ).distinct()


def _newest_succeeded() -> list[int]:
    """Return the rollout of each target that could be rolled back next: the newest whose change stands."""
    newest: dict[int, int] = {}
    standing = Rollout.objects.filter(state=R.SUCCEEDED).order_by("started_at", "pk")
    for pk, target in standing.values_list("pk", "target"):
        newest[target] = pk
    return list(newest.values())


def _keep_days(target: Target) -> int | None:
    try:
        return target.declared.backup_keep_days
    except ComponentError:
        return None  # its configuration cannot be read: nothing is removed on a guess


def _mark(one: retention.Held, now: datetime) -> None:
    why = f"{BY_RETENTION} after {one.keep_days} days"
    row = Backup.objects.filter(pk=one.id)
    backup = row.select_related("target__component", "target__environment").get()
    if kept := removable.why_kept(Path(backup.path), backup.target, keep_days=one.keep_days, now=now):
        log.warning("%s is over by its row, but stays: %s", backup, kept)
        return
    if row.filter(removed_at=None).update(removed_at=now, removed_why=why) != 1:
        return
    if needed_now().filter(pk=one.id).exists():  # by a rollback that took the row a moment before us
        row.update(removed_at=None, removed_why="")
        return
    data = {"path": str(backup), "sha256": backup.sha256, "size": backup.size}
    audit.append(
        action="backup.removed",
        by=audit.SYSTEM,
        subject=transitions.subject_of(backup.target),
        why=why,
        data=data,
        now=now,
    )


def _unlink(backup: Backup, now: datetime) -> bool:
    """Remove the file of a backup that is marked, if the audit, too, tells that it goes, and that nothing needs it."""
    path, target = Path(backup.path), backup.target
    if not path.exists() or not removable.was_removed(path, target):
        return False
    if kept := removable.why_kept(path, target, keep_days=_keep_days(target), now=now):
        log.warning("%s is removed by its row, but stays: %s", backup, kept)
        return False
    try:
        with audit.turn():  # in which nobody takes it for a rollback
            if not Backup.objects.filter(pk=backup.pk, removed_at__isnull=False).exists():
                return False
            writer.discard(path)
        storage.sync_directory(path.parent)
    except OSError as error:
        log.warning("%s is over, but cannot be removed: %s; it is tried again", path, error)
        return False
    return True
