"""Tells of archives in GR_BACKUPS that no row names, and removes each when its days are over since it was told.

A crash between the archive and its row leaves one; so does a database that was restored to a moment before it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from monitoring import audit, chain_watch, incidents, storage
from monitoring.models import Incident
from rollout import removable, routing, transitions
from rollout.archive import writer
from rollout.config_reader import ComponentError
from rollout.models import Backup, Target

TITLE = "Backups that no record names"
WHY = "no record named it, and its days are over since that was told"
# Younger ones may be on their way to their row.
OLD = timedelta(hours=24)
SHOWN = 50
NAME = re.compile(r"(?:undo_)?(?P<place>.+)_\d{8}_\d{6}\.zip")
LINE = re.compile(r"^- (.+\.zip): \d+ bytes", re.MULTILINE)
ADVICE = (
    "The step that made each was lost before it could be recorded, or the database was restored to a moment before it. "
    "Copy what you need elsewhere; `manage.py restore --backup FILE --into EMPTY_DIR` proves that it is whole. Each is "
    "removed when the backup_keep_days of its environment are over, counted from now, and a newer backup of its target "
    "is recorded. One of a target that nobody knows stays until you remove it."
)


@dataclass(frozen=True, kw_only=True)
class Unnamed:
    """An archive without a row; `target` None when its name is of no target that is known."""

    path: Path
    target: Target | None
    made_at: datetime
    size: int

    def __str__(self) -> str:
        return f"- {self.path.name}: {self.size} bytes, made {self.made_at:%Y-%m-%d %H:%M} UTC, place {self.path}"


def look(now: datetime) -> int:
    """Open an incident for what was not told yet, one a component; return how many archives it is."""
    told = _told()
    found = [one for one in _found(now) if one.path.name not in told]
    by_component: dict[str, list[Unnamed]] = defaultdict(list)
    for one in found:
        by_component[one.target.component.name if one.target else ""].append(one)
    for component, some in by_component.items():
        _open(component, some[:SHOWN], now)  # more of them are told with the next look
    return len(found)


def retire(now: datetime) -> int:
    """Remove those whose days are over since they were told; return how many went."""
    told = _told()
    over = [one for one in _found(now) if _is_over(one, told.get(one.path.name), now)]
    if not over or not chain_watch.passed().ok:
        return 0  # somebody may have taken a row away, and what tells of it
    return sum(_remove(one, now) for one in over)


def _found(now: datetime) -> Iterator[Unnamed]:
    """Yield every archive that no row names and that is a day old, the oldest name first."""
    root = Path(settings.GR_BACKUPS)
    # by name: a folder that was moved as a whole is another fault, and the rows' paths tell that
    named = {path.rpartition("/")[2] for path in Backup.objects.values_list("path", flat=True)}
    targets = {f"{one.component.name}_{one.environment.name}": one for one in _targets()}
    for path in sorted((*root.glob("*.zip"), *(root / writer.UNDO).glob("*.zip"))):
        match = NAME.fullmatch(path.name)
        if match is None or path.name in named or path.is_symlink():
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # another host sweeps too
        made_at = datetime.fromtimestamp(stat.st_mtime, UTC)
        if now - made_at >= OLD:
            yield Unnamed(path=path, target=targets.get(match["place"]), made_at=made_at, size=stat.st_size)


def _targets() -> Iterator[Target]:
    yield from Target.objects.select_related("component", "environment")


def _told() -> dict[str, datetime]:
    """Return when each archive was told first, by its name."""
    rows = Incident.objects.filter(title=TITLE).order_by("-opened_at", "-pk").values_list("summary", "opened_at")
    return {name: at for summary, at in rows for name in LINE.findall(summary)}


def _is_over(one: Unnamed, told_at: datetime | None, now: datetime) -> bool:
    if one.target is None or told_at is None:
        return False
    try:
        days = one.target.declared.backup_keep_days
    except ComponentError:
        return False  # its configuration cannot be read: nothing is removed on a guess
    if removable.is_told(one.path, one.target) and removable.why_kept(one.path, one.target, keep_days=days, now=now):
        return False  # it had a row, which somebody took away
    newer = Backup.objects.filter(
        target=one.target, kind=Backup.Kind.BACKUP, removed_at=None, verified_at__isnull=False
    )
    return now - told_at > timedelta(days=days) and newer.filter(created_at__gt=one.made_at).exists()


def _remove(one: Unnamed, now: datetime) -> bool:
    """Record the removal, then remove; whoever is killed in between records it once more."""
    assert one.target is not None
    with audit.turn():
        data = {"path": one.path.name, "size": one.size}
        audit.append(
            action="backup.removed",
            by=audit.SYSTEM,
            subject=transitions.subject_of(one.target),
            why=WHY,
            data=data,
            now=now,
        )
    writer.discard(one.path)
    storage.sync_directory(one.path.parent)
    return True


def _open(component: str, found: list[Unnamed], now: datetime) -> None:
    whose = component or "nobody"
    incidents.open(
        subject=audit.Subject(kind="storage", id=whose, label=f"backups of {whose}", component=component),
        severity="P2",
        title=TITLE,
        summary="\n".join([*(str(one) for one in found), "", ADVICE]),
        runbook="incident",
        by=audit.SYSTEM,
        routes=routing.of_named(component),
        url=f"{settings.GR_BASE_URL}/incidents/",
        now=now,
    )
