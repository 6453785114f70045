"""Whether a backup's file may go, by what the audit tells of it: rows only propose, because anybody may write them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from monitoring import audit_told
from monitoring.models import AuditEntry
from rollout import as_told, opened, states, told, transitions
from rollout.models import Run, Target
from rollout.states import RolloutState as R

Json = dict[str, Any]
REMOVED = "backup.removed"
# where a rollout may still be, or come to be, rolled back to the backup that it took
NEEDED = states.OPEN | states.ACTIVE | (states.ROLLBACK_FROM - {R.SUCCEEDED})


def why_kept(path: Path, target: Target, *, keep_days: int | None, now: datetime) -> str:
    """Return why the file of a backup of a target has to stay; empty when its days are over and nothing needs it."""
    try:
        return next(_reasons(path, target, keep_days, now), "")
    except audit_told.BROKEN as error:
        return f"what the audit tells of it cannot be read: {error!r}"


def is_told(path: Path, target: Target) -> bool:
    """Say whether the audit tells that a file of this name was kept as a backup of a target."""
    return bool(_told_of(path, target, *told.KEPT))


def was_removed(path: Path, target: Target) -> bool:
    """Say whether the audit tells that the product removed the file, and that nothing was kept by its name since."""
    entries = _told_of(path, target, *told.KEPT, REMOVED)
    return bool(entries) and entries[-1]["action"] == REMOVED


def is_ours(path: Path) -> bool:
    """Say whether a file stands in GR_BACKUPS, whatever its path goes through."""
    place = Path(settings.GR_BACKUPS).resolve()
    return path.parent.resolve().is_relative_to(place) and path.suffix == ".zip" and not path.is_symlink()


def _reasons(path: Path, target: Target, keep_days: int | None, now: datetime) -> Iterator[str]:
    if not is_ours(path):
        yield "it stands elsewhere than backups do"
    kept = _told_of(path, target, *told.KEPT)
    if not kept:
        yield "no entry of the audit tells of it"
    if keep_days is None or now - datetime.fromisoformat(kept[-1]["at"]) <= timedelta(days=keep_days):
        yield "its days are not over"
    for entry in kept:
        if run := entry["data"].get("run"):
            yield from _needed_by(int(run), target)


def _needed_by(run: int, target: Target) -> Iterator[str]:
    """Yield why the rollout whose run took a backup may still need it."""
    opening = opened.entry_of(audit_told.sound_about("run", [run]))
    row = Run.objects.filter(pk=run).values_list("rollout_id", flat=True).first()  # an older version did not tell
    number = opening["data"].get("rollout", row) if opening else None
    seq, state = (as_told.moves_of(number) or [(0, "")])[-1]
    if not state:
        yield f"no entry of the audit tells what became of the rollout that took it by run {run}"
    elif state in NEEDED:
        yield f"rollout {number} is {states.label(state)}"
    elif state == R.SUCCEEDED and not _succeeded_after(seq, target):
        yield f"rollout {number} is the last that succeeded"


def _succeeded_after(seq: int, target: Target) -> bool:
    place = {"component": target.component.name, "environment": target.environment.name}
    later = AuditEntry.objects.filter(**place, action=f"rollout.{R.SUCCEEDED.lower()}", seq__gt=seq)
    numbers = {one["subject"]["id"] for one in audit_told.standing(later)}
    return any(as_told.moves_of(number)[-1][1] == R.SUCCEEDED for number in numbers)  # else it was rolled back since


def _told_of(path: Path, target: Target, *actions: str) -> list[Json]:
    """Return what sound entries about a target tell of a file of this name, oldest first."""
    subject = transitions.subject_of(target)
    about = AuditEntry.objects.filter(subject_kind=subject.kind, subject_id=subject.id, action__in=actions)
    return [one for one in audit_told.standing(about) if one["data"].get("path") == path.name]
