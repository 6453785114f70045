"""The auditor's zip for one rollout: what was asked, signed, done, measured and told, with the means to check it."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from approvals.models import Decision
from monitoring import audit_export, storage, verify, watch_data
from monitoring.models import AuditEntry, Incident, Notice
from rollout import commands, evidence, states, transitions
from rollout.api import shapes
from rollout.models import Rollout, Step

README = """Guarded Rollout: bundle of rollout {pk}, {rollout}, made {now:%Y-%m-%d %H:%M:%S} UTC. State: {state}.

Check it without this product (python3 and sha256sum are enough):
  sha256sum -c SHA256SUMS                         every file of this bundle
  python3 verify.py audit.jsonl                   the whole audit chain, from entry 1 to its head
  sha256sum manifest.json                         must be {digest}: what each decision in decisions.json binds

manifest.json   the exact bytes that were signed          decisions.json  every decision, counted or not
audit.jsonl     the whole chain, because a part of a chain proves nothing      about.jsonl  only the entries about this
rollout.json    the rollout with its runs and steps       artifacts/      the evidence, by kind
samples/        what the watch measured                   steps/          what each step printed
notices.json    what was told, and each attempt           incidents.json  incidents with their timelines
Backups are not inside: they hold production data. Their sha256 stands in the manifest and in rollout.json.
"""


def write(rollout: Rollout, path: Path, *, now: datetime) -> int:
    """Write the bundle of a rollout to a new file and return how many files it holds; raise FileExistsError."""
    sums: list[str] = []
    with path.open("xb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        path.chmod(0o600)
        for name, data in _texts(rollout, now):
            bundle.writestr(name, data)
            sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}")
        for name, source in _files(rollout):
            bundle.write(source, name)
            sums.append(f"{storage.sha256_of(source)}  {name}")
        bundle.writestr("SHA256SUMS", "\n".join(sums) + "\n")
    return len(sums)


def _texts(rollout: Rollout, now: datetime) -> Iterator[tuple[str, bytes]]:
    words = {"pk": rollout.pk, "rollout": rollout, "now": now, "state": states.label(rollout.state)}
    yield "README.txt", README.format(**words, digest=rollout.digest or "(nothing was frozen)").encode()
    if rollout.manifest:
        yield "manifest.json", rollout.manifest.encode()
    yield "verify.py", Path(verify.__file__).read_bytes()
    yield "audit.jsonl", "".join(audit_export.jsonl()).encode()
    yield "about.jsonl", "".join(audit_export.jsonl(_entries(rollout))).encode()
    yield "rollout.json", _json({**shapes.rollout(rollout), "backups": _backups(rollout), "runs": _runs(rollout)})
    yield "decisions.json", _json(_decisions(rollout))
    yield "notices.json", _json(_notices(rollout))
    yield "incidents.json", _json(_incidents(rollout))
    for run in rollout.runs.filter(watch__isnull=False).select_related("watch"):
        if run.watch is not None:
            yield f"samples/run-{run.pk}.json", _json(watch_data.series(run.watch))


def _files(rollout: Rollout) -> Iterator[tuple[str, Path]]:
    own = rollout.release.artifacts.filter(rollout=None, created_at__lte=rollout.ended_at or rollout.created_at)
    now_there = rollout.release.artifacts.filter(rollout=None, replaced_at=None)
    for artifact in (own | now_there | rollout.artifacts.all()).distinct():
        if evidence.path_of(artifact).exists():
            yield f"artifacts/{artifact.kind}/{artifact.pk}-{artifact.name}", evidence.path_of(artifact)
    for step in Step.objects.filter(run__rollout=rollout, attempt__gt=0).order_by("run_id", "number"):
        output = commands.folder_of(step) / "output.log"
        if output.exists():
            yield f"steps/run-{step.run_id}/{step.number:02d}-{step.kind}.log", output


def _entries(rollout: Rollout) -> Any:
    """Return the audit entries about a rollout, its runs and its steps."""
    runs = [str(pk) for pk in rollout.runs.values_list("pk", flat=True)]
    steps = [str(pk) for pk in Step.objects.filter(run__rollout=rollout).values_list("pk", flat=True)]
    entries = AuditEntry.objects
    return (
        entries.filter(subject_kind="rollout", subject_id=str(rollout.pk))
        | entries.filter(subject_kind="run", subject_id__in=runs)
        | entries.filter(subject_kind="step", subject_id__in=steps)
        | entries.filter(subject_kind="release", subject_id=str(rollout.release_id))
    )


def _runs(rollout: Rollout) -> list[dict[str, Any]]:
    return [shapes.run(run) for run in rollout.runs.select_related("watch").prefetch_related("steps")]


def _backups(rollout: Rollout) -> list[dict[str, Any]]:
    found = {one.pk: one for run in rollout.runs.all() for one in run.backups.all()}
    return [
        {"name": str(one), "sha256": one.sha256, "size": one.size, "release": one.release_version, "kind": one.kind}
        for one in found.values()
    ]


def _decisions(rollout: Rollout) -> list[dict[str, Any]]:
    """Return every decision over any manifest that this rollout ever had."""
    subject = transitions.subject_of(rollout)
    decisions = Decision.objects.filter(sign_off__subject_kind=subject.kind, sign_off__subject_id=subject.id)
    return [
        {
            "sign_off": one.sign_off_id,
            "state_of_sign_off": one.sign_off.state,
            "seq": one.seq,
            "name": one.printed_name,
            "duty": one.duty,
            "kind": one.kind,
            "digest": one.digest,
            "meaning": one.meaning,
            "reason": one.reason,
            "method": one.method,
            "authenticated_at": shapes.moment(one.authenticated_at),
            "at": shapes.moment(one.at),
        }
        for one in decisions.select_related("sign_off").order_by("sign_off_id", "seq")
    ]


def _notices(rollout: Rollout) -> list[dict[str, Any]]:
    notices = Notice.objects.filter(subject_kind="rollout", subject_id=str(rollout.pk)).order_by("pk")
    return [
        {
            "event": one.event,
            "channel": one.channel,
            "state": one.state,
            "title": one.title,
            "body": one.body,
            "created_at": shapes.moment(one.created_at),
            "attempts": [
                {"at": shapes.moment(attempt.at), "ok": attempt.ok, "detail": attempt.detail}
                for attempt in one.attempt_set.all()
            ],
        }
        for one in notices.prefetch_related("attempt_set")
    ]


def _incidents(rollout: Rollout) -> list[dict[str, Any]]:
    incidents = Incident.objects.filter(subject_kind="rollout", subject_id=str(rollout.pk)).order_by("pk")
    return [
        {
            "id": one.pk,
            "severity": one.severity,
            "state": one.state,
            "title": one.title,
            "summary": one.summary,
            "opened_at": shapes.moment(one.opened_at),
            "closed_at": shapes.moment(one.closed_at),
            "resolution": one.resolution,
            "timeline": [
                {"at": shapes.moment(entry.at), "by": entry.by_name, "text": entry.text} for entry in one.entries.all()
            ],
        }
        for one in incidents.prefetch_related("entries")
    ]


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def default_name(rollout: Rollout) -> str:
    """Return the name that a bundle gets when nobody gives one."""
    return f"rollout-{rollout.pk}-{rollout.target.component.name}-{rollout.release.version}.zip"
