"""The rows of an auditor's bundle: decisions, manifests, artifacts, notices, incidents, stories; each one at a time."""

import hashlib
from collections.abc import Container, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from approvals import bound, people
from approvals.models import Decision, SignOff
from monitoring import audit
from monitoring.models import Incident, Notice
from rollout import bundle_files, glass_record
from rollout.api import shapes
from rollout.models import Backup, Rollout, Run
from rollout.population import Period

CHUNK = 200


def decisions(keys: QuerySet[Any]) -> Iterator[dict[str, Any]]:
    """Yield every decision over any manifest that the rollouts ever had, with the assertion of its passkey."""
    rows = Decision.objects.filter(sign_off__subject_kind="rollout", sign_off__subject_id__in=keys)
    for one in rows.select_related("signature").order_by("sign_off_id", "seq").iterator(chunk_size=CHUNK):
        yield bound.carried(one)


def manifests(rollouts: QuerySet[Rollout]) -> Iterator[tuple[str, str]]:
    """Yield digest and text of each manifest: those of the rollouts as they stand, then those of earlier sign-offs."""
    seen: set[str] = set()
    for number in rollouts.order_by("pk").values_list("pk", flat=True):
        own = Rollout.objects.filter(pk=number).values_list("digest", "manifest")
        earlier = SignOff.objects.filter(subject_kind="rollout", subject_id=str(number)).order_by("pk")
        for digest, text in (*own, *earlier.values_list("digest", "manifest")):
            if digest and digest not in seen:
                seen.add(digest)
                yield digest, text


def artifacts(rollouts: QuerySet[Rollout], *, inside: Container[str]) -> Iterator[dict[str, Any]]:
    """Yield each artifact of the rollouts and their releases, and each backup of their runs, whose bytes never are.

    `inside` are the names of the files that the bundle holds.
    """
    rows = bundle_files.artifacts_of(rollouts).select_related("release__component", "uploaded_by__person")
    for one in rows.iterator(chunk_size=CHUNK):
        yield {
            "kind": one.kind,
            "name": one.name,
            "sha256": one.sha256,
            "size": one.size,
            "release": str(one.release),
            "rollout": one.rollout_id,
            "run": one.run_id,
            "via": one.via,
            "user": one.uploaded_by_id,
            "by": people.printed_name(one.uploaded_by) if one.uploaded_by else "",
            "created_at": audit.stamp(one.created_at),
            "replaced_at": stamp(one.replaced_at),
            "file": name if (name := bundle_files.name_of(one)) in inside else "",
        }
    for backup in Backup.objects.filter(run__rollout__in=rollouts.order_by()).order_by("pk").iterator(chunk_size=CHUNK):
        yield {
            "kind": backup.kind,
            "name": str(backup),
            "sha256": backup.sha256,
            "size": backup.size,
            "release": backup.release_version,
            "run": backup.run_id,
            "via": "system",
            "created_at": audit.stamp(backup.created_at),
            "file": "",
        }


def notices(keys: QuerySet[Any], period: Period | None) -> Iterator[dict[str, Any]]:
    """Yield what was told of the rollouts, and of anything else in the period."""
    rows = Notice.objects.filter(Q(subject_kind="rollout", subject_id__in=keys) | _in(period, "created_at"))
    for one in rows.order_by("pk").prefetch_related("attempt_set").iterator(chunk_size=CHUNK):
        yield {
            "about": f"{one.subject_kind} {one.subject_id}",
            "event": one.event,
            "severity": one.severity,
            "channel": one.channel,
            "state": one.state,
            "title": one.title,
            "body": one.body,
            "created_at": audit.stamp(one.created_at),
            "attempts": [
                {"at": audit.stamp(attempt.at), "ok": attempt.ok, "detail": attempt.detail}
                for attempt in one.attempt_set.all()
            ],
        }


def incidents(rows: QuerySet[Incident]) -> Iterator[dict[str, Any]]:
    """Yield incidents with their timelines."""
    for one in rows.order_by("pk").prefetch_related("entries", "attachments").iterator(chunk_size=CHUNK):
        yield {
            "id": one.pk,
            "about": f"{one.subject_kind} {one.subject_id}",
            "component": one.component,
            "environment": one.environment,
            "severity": one.severity,
            "state": one.state,
            "title": one.title,
            "summary": one.summary,
            "opened_at": audit.stamp(one.opened_at),
            "acknowledged_at": stamp(one.acknowledged_at),
            "acknowledged_by": one.acknowledged_by,
            "closed_at": stamp(one.closed_at),
            "closed_by": one.closed_by,
            "resolution": one.resolution,
            "timeline": [
                {"at": audit.stamp(entry.at), "by": entry.by_name, "text": entry.text} for entry in one.entries.all()
            ],
            "attachments": [
                {"name": file.name, "sha256": file.sha256, "size": file.size, "by": file.by_name}
                for file in one.attachments.all()
            ],
        }


def incident_rows(keys: QuerySet[Any], rollouts: QuerySet[Rollout], period: Period | None) -> QuerySet[Incident]:
    """Return the incidents of the rollouts and their runs, and any other that was opened in the period."""
    of_runs = Run.objects.filter(rollout__in=rollouts.order_by(), incident__isnull=False).values("incident")
    about = Q(subject_kind="rollout", subject_id__in=keys) | Q(pk__in=of_runs) | _in(period, "opened_at")
    return Incident.objects.filter(about)


def story(rollout: Rollout) -> dict[str, Any]:
    """Return a rollout with its runs, sign-offs and break-glass."""
    runs = rollout.runs.select_related("watch").prefetch_related("steps").order_by("pk")
    sign_offs = SignOff.objects.filter(subject_kind="rollout", subject_id=str(rollout.pk)).order_by("pk")
    return {
        **shapes.rollout(rollout),
        "reason": rollout.reason,
        "requested_by": people.printed_name(rollout.requester),
        "manifest_sha256": hashlib.sha256(rollout.manifest.encode()).hexdigest() if rollout.manifest else "",
        "sign_offs": [_sign_off(one) for one in sign_offs.defer("manifest")],
        "runs": [shapes.run(run) for run in runs],
        "break_glass": glass_record.documents(rollout),
    }


def told(period: Period) -> dict[str, str]:
    """Return a period as bundle.json and the audit tell it; `until` is not inside."""
    values = {"basis": period.basis, "component": period.component, "environment": period.environment}
    return {"since": audit.stamp(period.since), "until": audit.stamp(period.until), **values}


def all_of(period: Period | None) -> dict[str, Any] | None:
    """Return what every rollout is of that the chain tells of as requested; None where that is not so."""
    if period is None or period.basis != "requested" or period.only is not None:
        return None
    place = {name: value for name in ("component", "environment") if (value := getattr(period, name))}
    return {"since": audit.stamp(period.since), "until": audit.stamp(period.until), "place": place}


def last_day(period: Period) -> datetime:
    """Return the last day of a period."""
    return period.until - timedelta(days=1)


def stamp(at: datetime | None) -> str | None:
    """Return a moment as the audit writes it."""
    return audit.stamp(at) if at else None


def _sign_off(one: SignOff) -> dict[str, Any]:
    return {
        "sign_off": one.pk,
        "digest": one.digest,
        "state": one.state,
        "opened_at": audit.stamp(one.opened_at),
        "expires_at": audit.stamp(one.expires_at),
        "closed_at": stamp(one.closed_at),
        "closed_why": one.closed_why,
        "barred": one.barred,
        "unmatched_authors": one.unmatched_authors,
    }


def _in(period: Period | None, column: str) -> Q:
    """Return the condition that a row is of a period, and of its component and environment."""
    if period is None:
        return Q(pk__in=())
    asked: dict[str, Any] = {f"{column}__gte": period.since, f"{column}__lt": period.until}
    for name in ("component", "environment"):
        asked |= {name: getattr(period, name)} if getattr(period, name) else {}
    return Q(**asked)
