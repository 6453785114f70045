"""The files of an auditor's bundle: what steps printed, what watches measured, the bytes of evidence."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from monitoring import audit, incidents, redact, storage, time_stamps
from monitoring.audit_pieces import Span
from monitoring.models import Attachment, Poll, Watch
from rollout import evidence
from rollout.models import Artifact, Rollout, Step

File = tuple[str, Iterable[bytes]]
UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
CHUNK = 200


def of_rollout(rollout: Rollout) -> Iterator[File]:
    """Yield what a rollout's watches measured and its steps printed, whichever attempt."""
    place = f"rollouts/{rollout.pk}"
    for run in rollout.runs.filter(watch__isnull=False).select_related("watch").order_by("pk"):
        if run.watch is not None:
            yield f"{place}/samples/run-{run.pk}.jsonl", _samples(run.watch)
    steps = Step.objects.filter(run__rollout=rollout, attempt__gt=0).order_by("run_id", "number")
    for step in steps:
        for attempt in range(1, step.attempt + 1):
            output = Path(settings.GR_RUN_DIR) / "steps" / step.folder_of_attempt(attempt) / "output.log"
            if output.exists():
                name = f"{step.number:02d}-{step.kind}{'' if attempt == 1 else f'-try{attempt}'}.log"
                yield f"{place}/steps/run-{step.run_id}/{name}", redact.stream(_read(output))


def artifacts_of(rollouts: QuerySet[Rollout]) -> QuerySet[Artifact]:
    """Return every artifact that the rollouts made, or that was ever brought for their releases."""
    brought = Q(rollout=None, release__in=rollouts.order_by().values("release"))
    return Artifact.objects.filter(brought | Q(rollout__in=rollouts.order_by())).order_by("pk")


def evidence_of(artifacts: QuerySet[Artifact], attachments: QuerySet[Attachment]) -> Iterator[File]:
    """Yield the bytes of artifacts and attachments, as far as they are kept."""
    for artifact in artifacts.iterator(chunk_size=CHUNK):
        if (path := evidence.path_of(artifact)).exists():
            yield name_of(artifact), _read(path)
    for one in attachments.order_by("pk").iterator(chunk_size=CHUNK):
        if (path := storage.path_of(incidents.attachment_root(), one.sha256)).exists():
            yield f"attachments/incident-{one.incident_id}/{one.pk}-{UNSAFE.sub('_', one.name)}", _read(path)


def time_stamps_of(pieces: Sequence[Span]) -> Iterator[File]:
    """Yield the time stamps of the checkpoints in these pieces, each beside the text that it is of.

    With them go the certificates by which this installation checks them; whoever does not trust it has better ones.
    """
    some = False
    for low, high in pieces:
        for seq, answer, text in time_stamps.read(time_stamps.numbered().filter(seq__gte=low, seq__lte=high)):
            if text is not None:
                some = True
                yield f"time-stamps/{seq}.json", [text.encode("utf-8", "backslashreplace")]
                yield f"time-stamps/{seq}.tsr", [answer]
    if some and (trusted := Path(settings.GR_TSA_CA_FILE)).is_file():
        yield "time-stamps/authority.pem", _read(trusted)


def name_of(artifact: Artifact) -> str:
    """Return where the bytes of an artifact stand in a bundle."""
    return f"artifacts/{artifact.kind}/{artifact.pk}-{UNSAFE.sub('_', artifact.name)}"


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        yield from storage.read_chunks(source)


def _samples(watch: Watch) -> Iterator[bytes]:
    """Yield the profile of a watch and how it ended, then each look with its samples, a line each."""
    end = {"verdict": watch.verdict, "outcome": watch.outcome, "reason": watch.reason, "ends_at": watch.ends_at}
    yield _line({"watch": watch.pk, "started_at": watch.started_at, **end, "profile": watch.profile})
    looks = Poll.objects.filter(watch=watch).order_by("number").prefetch_related("samples")
    for poll in looks.iterator(chunk_size=CHUNK):
        samples = [
            {"source": one.source, "value": one.value, "ok": one.ok, "error": one.error, "elapsed_ms": one.elapsed_ms}
            for one in poll.samples.all()
        ]
        judged = {"verdict": poll.verdict, "reason": poll.reason, "gates": poll.gates, "samples": samples}
        yield _line({"number": poll.number, "at": poll.at, **judged, "next_interval_s": str(poll.next_interval_s)})


def _line(row: dict[str, Any]) -> bytes:
    told = {key: audit.stamp(value) if isinstance(value, datetime) else value for key, value in row.items()}
    return (json.dumps(told, ensure_ascii=False) + "\n").encode()
