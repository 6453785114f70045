"""Takes in what people and CI bring: files, kept under their sha256, and links to CI runs."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, Q

from approvals.ledger import Refused
from monitoring import audit, redact, storage
from monitoring.audit import Actor, Subject
from rollout import links, nudge, states
from rollout.checklist import BROUGHT, Found, Item, build
from rollout.component import LINKS, UPLOADS
from rollout.github.client import pages_of
from rollout.models import Artifact, Backup, EvidenceLink, Release, Rollout, Run

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,149}")
SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")
SIDECAR_LIMIT_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Received:
    """A file whose bytes are kept already, but which is evidence of nothing yet."""

    kind: str
    name: str
    sha256: str
    size: int


def attach(
    release: Release,
    *,
    kind: str,
    name: str,
    chunks: Iterable[bytes],
    sidecar: str = "",
    user: User,
    by: Actor,
    now: datetime,
) -> Artifact:
    """Keep a file as evidence of a release, replacing an earlier one of its kind, and return its row.

    `sidecar` is the text of a `.sha256` file; when it is given, the file must match. Raises Refused, which says why.
    """
    received = receive(release, kind=kind, name=name, chunks=chunks, sidecar=sidecar)
    return record(release, received, user=user, by=by, now=now)


def receive(release: Release, *, kind: str, name: str, chunks: Iterable[bytes], sidecar: str = "") -> Received:
    """Keep the bytes of a file that is to be evidence, outside of any transaction: it may take minutes."""
    _check_kind(kind, UPLOADS)
    _check_name(name)
    _check_open(release)
    stored = _keep(chunks)
    _check_sidecar(stored.sha256, sidecar, name)
    return Received(kind=kind, name=name, sha256=stored.sha256, size=stored.size)


def record(release: Release, received: Received, *, user: User, by: Actor, now: datetime) -> Artifact:
    """Make a received file evidence of a release, replacing an earlier one of its kind."""
    with audit.turn():
        # locks the row: of two of a kind that come at once, the second waits, and then takes the place of the first
        Release.objects.filter(pk=release.pk).update(branch=F("branch"))
        _check_open(release)
        earlier = Artifact.objects.filter(release=release, rollout=None, kind=received.kind, replaced_at=None)
        earlier.update(replaced_at=now)
        data = asdict(received)
        artifact = Artifact.objects.create(release=release, uploaded_by=user, via=by.via, created_at=now, **data)
        audit.append(action="artifact.attached", by=by, subject=subject_of(release), data=data, now=now)
    return artifact


def link(release: Release, *, kind: str, url: str, user: User, by: Actor, now: datetime) -> EvidenceLink:
    """Keep a link to a CI run, replacing an earlier one of its kind; raise Refused when it is no https URL."""
    _check_kind(kind, LINKS)
    if not links.is_plain(url):
        raise Refused(f"{url[:80]!r} is not a link to a CI run: an https:// URL of at most 300 characters is expected.")
    repository = release.component.spec.repository
    if links.is_foreign(url, repository=repository, web_url=pages_of(settings.GR_GITHUB_API_URL)):
        raise Refused(f"{url[:80]!r} is not of {repository}, the repository of {release.component.name}: not kept.")
    with audit.turn():
        _check_open(release)
        asks = bool(settings.GR_GITHUB_TOKEN and repository)
        state = "not_checked" if asks else "not_configured"
        values: dict[str, Any] = {"url": url, "check_state": state, "check_detail": "", "checked_at": None}
        # the same link brought again stays that of the one who brought it: he cannot approve
        if not EvidenceLink.objects.filter(release=release, kind=kind, url=url).exists():
            values |= {"added_by": user, "via": by.via, "added_at": now}
        made, _ = EvidenceLink.objects.update_or_create(release=release, kind=kind, defaults=values)
        data = {"kind": kind, "url": url}
        if asks:
            nudge.check(release.pk)
        audit.append(action="link.attached", by=by, subject=subject_of(release), data=data, now=now)
    return made


def store(path: Path) -> storage.Stored:
    """Keep a file's bytes, durably, before the transaction that names them; what a step wrote, without secrets."""
    with path.open("rb") as source:
        return _keep(redact.stream(storage.read_chunks(source)))


def keep_from_run(run: Run, *, kind: str, path: Path, now: datetime, stored: storage.Stored | None = None) -> Artifact:
    """Keep a file that a step made; what a deploy or rollback run makes never takes the place of signed evidence."""
    stored = stored or store(path)
    name = kind if run.kind == Run.Kind.VALIDATE else f"{run.kind}-{kind}"
    with audit.turn():
        Artifact.objects.filter(rollout=run.rollout, kind=name, replaced_at=None).update(replaced_at=now)
        return Artifact.objects.create(
            release=run.rollout.release,
            rollout=run.rollout,
            run=run,
            kind=name,
            name=path.name,
            sha256=stored.sha256,
            size=stored.size,
            via="system",
            created_at=now,
        )


def path_of(artifact: Artifact) -> Path:
    """Return where an artifact's bytes stand."""
    return storage.path_of(settings.GR_ARTIFACTS, artifact.sha256)


def checklist(rollout: Rollout) -> tuple[Item, ...]:
    """Return the checklist of a rollout as it stands now."""
    return build(rollout.target.component.spec.evidence, found(rollout))


def release_checklist(release: Release) -> tuple[Item, ...]:
    """Return the part of the checklist that people and CI bring, before there is a rollout."""
    required = [kind for kind in release.component.spec.evidence if kind in BROUGHT]
    return build(required, _of_release(release))


def found(rollout: Rollout) -> dict[str, Found]:
    """Return the evidence that is there, by kind."""
    here = _of_release(rollout.release)
    made = rollout.artifacts.filter(replaced_at=None).exclude(
        Q(kind__startswith="deploy-") | Q(kind__startswith="rollback-")
    )
    here |= {artifact.kind: _of_artifact(artifact) for artifact in made}
    backup = Backup.objects.filter(run__rollout=rollout, run__kind=Run.Kind.VALIDATE, kind="backup").first()
    if backup is not None:
        bad = backup.removed_why or ("" if backup.rehearsed_at else "not restored in a rehearsal yet")
        here["backup"] = Found(kind="backup", name=str(backup), sha256=backup.sha256, size=backup.size, bad=bad)
    return here


def subject_of(release: Release) -> Subject:
    """Return how the audit names a release."""
    return Subject(kind="release", id=str(release.pk), label=str(release), component=release.component.name)


def _of_release(release: Release) -> dict[str, Found]:
    own = release.artifacts.filter(rollout=None, replaced_at=None)
    here = {artifact.kind: _of_artifact(artifact) for artifact in own}
    strict = release.component.spec.github == "block"
    return here | {one.kind: links.found(one, strict=strict) for one in release.links.all()}


def _of_artifact(artifact: Artifact) -> Found:
    return Found(
        kind=artifact.kind, name=artifact.name, sha256=artifact.sha256, size=artifact.size, artifact_id=artifact.pk
    )


def _keep(chunks: Iterable[bytes]) -> storage.Stored:
    try:
        return storage.put(settings.GR_ARTIFACTS, chunks, limit=settings.GR_UPLOAD_LIMIT)
    except storage.EmptyError:
        raise Refused("The file is empty; nothing was kept.")
    except storage.TooLargeError:
        raise Refused(
            f"The file is larger than {settings.GR_UPLOAD_LIMIT} bytes (GR_UPLOAD_LIMIT_BYTES); nothing was kept."
        )


def _check_kind(kind: str, known: Iterable[str]) -> None:
    if kind not in known:
        raise Refused(f"{kind!r} is not a kind of evidence that is brought so; known are {', '.join(known)}.")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or PurePosixPath(name).name != name or ".." in name:
        raise Refused(
            f"{name[:80]!r} is not accepted as a file name: letters, digits and . _ + - are, "
            "beginning with a letter or digit, at most 150, and no directories."
        )


def _check_sidecar(sha256: str, sidecar: str, name: str) -> None:
    if not sidecar:
        return
    expected = SHA256.search(sidecar)
    if expected is None:
        raise Refused("The .sha256 file holds no sha256 (64 hexadecimal digits).")
    if expected[1].lower() != sha256:
        raise Refused(f"{name} does not match its .sha256 file: it says {expected[1].lower()}, the file has {sha256}.")


def _check_open(release: Release) -> None:
    """Refuse new evidence while the release is on its way: what is deployed must be what was signed."""
    busy = {states.RolloutState.VALIDATING, states.RolloutState.QUEUED, *states.ACTIVE}
    holder = Rollout.objects.filter(release=release, state__in=busy).first()
    if holder is not None:
        raise Refused(
            f"{release} is on its way (rollout {holder.pk} is {states.label(holder.state)}); try again after it."
        )
