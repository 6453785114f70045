"""Looks for rows whose file is gone or has another size, and opens an incident: a kept file is a promise."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from monitoring import audit, incidents, storage
from monitoring.models import Attachment, Incident
from rollout import routing, transitions
from rollout.models import Artifact, Backup

TITLE = "Kept files are missing or damaged"
FOUND_BAD = "found "
SHOWN = 50
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
ADVICE = (
    "Bring each file back to its place from a copy of the disk, or from an archive of `manage.py backup_self`; its "
    "sha256 must be the one above (`sha256sum FILE`). An artifact can also be attached again, while its release is not "
    "on its way. Until then a rollout that needs it is refused. Look at the disk: what else did it lose?"
)


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A file that a row promises and the disk does not hold as promised."""

    component: str
    what: str
    path: Path
    sha256: str
    fault: str

    def __str__(self) -> str:
        return f"{self.what}: {self.fault}; sha256 {self.sha256}, place {self.path}"


def look(now: datetime) -> int:
    """Open an incident for what is newly lost, one a component; return how many files it is."""
    told = _told()
    lost = [one for one in (*_artifacts(), *_attachments(), *_backups(now)) if one.sha256 not in told]
    by_component: dict[str, list[Lost]] = defaultdict(list)
    for one in lost:
        by_component[one.component].append(one)
    for component, some in by_component.items():
        _open(component, some[:SHOWN], now)  # more of them are told with the next look
    return len(lost)


def fault_of(path: Path, size: int) -> str:
    """Return what is wrong with a file that should have `size` bytes, or "" when its length is right."""
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable ({error.strerror})"
    return "" if found == size else f"with {found} bytes instead of {size}"


def _told() -> set[str]:
    """Return the sha256s that an incident names already: each loss is told once."""
    summaries = Incident.objects.filter(title=TITLE).values_list("summary", flat=True)
    return {sha256 for summary in summaries for sha256 in SHA256.findall(summary)}


def _artifacts() -> Iterator[Lost]:
    kept: dict[str, Artifact] = {}
    for artifact in Artifact.objects.select_related("release__component").order_by("-pk"):
        kept[artifact.sha256] = artifact
    for sha256, artifact in kept.items():
        path = storage.path_of(Path(settings.GR_ARTIFACTS), sha256)
        fault = fault_of(path, artifact.size)
        if fault:
            component = artifact.release.component.name
            what = f"{artifact.name} ({artifact.kind} of {artifact.release})"
            yield Lost(component=component, what=what, path=path, sha256=sha256, fault=fault)


def _attachments() -> Iterator[Lost]:
    for row in Attachment.objects.select_related("incident"):
        path = storage.path_of(incidents.attachment_root(), row.sha256)
        fault = fault_of(path, row.size)
        if fault:
            what = f"{row.name} (attached to {row.incident})"
            yield Lost(component=row.incident.component, what=what, path=path, sha256=row.sha256, fault=fault)


def _backups(now: datetime) -> Iterator[Lost]:
    """Yield the backups that are lost; each row is marked, so that no page offers it, and unmarked when it is back."""
    for backup in Backup.objects.select_related("target__component", "target__environment"):
        fault = fault_of(Path(backup.path), backup.size)
        if fault and Path(backup.path).is_relative_to(settings.GR_BACKUPS) and not Path(settings.GR_BACKUPS).is_dir():
            continue  # the place itself is away, as the pages say: of the file nothing is known
        if fault and backup.removed_at is None:
            set_found(backup, f"{FOUND_BAD}{fault}", now=now)
        elif not fault and backup.removed_why.startswith(FOUND_BAD):
            set_found(backup, "", now=now)
        if fault and backup.removed_why.startswith(FOUND_BAD):
            component, what = backup.target.component.name, f"backup {backup} of {backup.target}"
            yield Lost(component=component, what=what, path=Path(backup.path), sha256=backup.sha256, fault=fault)


def is_gone(backup: Backup, *, now: datetime) -> bool:
    """Say whether a backup is not to be had; where its row says so, look again: its disk may be back."""
    if backup.removed_at is not None and not fault_of(Path(backup.path), backup.size):
        set_found(backup, "", now=now)
    return backup.removed_at is not None


def set_found(backup: Backup, why: str, *, now: datetime) -> None:
    """Record that a backup's file is not as it was kept, and why; or, with an empty `why`, that it is there again."""
    values = {"removed_at": now if why else None, "removed_why": why[:200]}
    with audit.turn():
        still = Backup.objects.filter(pk=backup.pk, removed_why=backup.removed_why)
        if still.update(**values) != 1:
            backup.refresh_from_db()
            return
        audit.append(
            action="backup.lost" if why else "backup.found",
            by=audit.SYSTEM,
            subject=transitions.subject_of(backup.target),
            why=why,
            data={"path": str(backup), "sha256": backup.sha256, "size": backup.size},
            now=now,
        )
    backup.removed_at, backup.removed_why = (now if why else None), why[:200]


def _open(component: str, lost: list[Lost], now: datetime) -> None:
    whose = component or "nobody"
    incidents.open(
        subject=audit.Subject(kind="storage", id=whose, label=f"kept files of {whose}", component=component),
        severity="P1",
        title=TITLE,
        summary="\n".join([*(str(one) for one in lost), "", ADVICE]),
        runbook="incident",
        by=audit.SYSTEM,
        routes=routing.of_named(component),
        url=f"{settings.GR_BASE_URL}/incidents/",
        now=now,
    )
