"""The auditor's zip for one rollout or a period: what was asked, signed, done, measured, told, and how to check it."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.db.models import QuerySet

from monitoring import audit, audit_pages, audit_pieces, raw_rows, redact, unseen, verify
from monitoring.models import Attachment
from monitoring.snapshot import snapshot
from rollout import bundle_files, bundle_rows, bundle_spans
from rollout.models import Rollout
from rollout.population import Period

VERSION = 2
CHUNK = 100
README = """Guarded Rollout: bundle of {title}, made {now:%Y-%m-%d %H:%M:%S} UTC.

Check it without this product; Python 3.11, which may be that of another computer, is enough:
  python3 -I verify.py                     everything below; it says what it could not establish, and why
  python3 -I verify.py --head 1204:9f31…   the same against a number and a hash from the footer of any notice
  sha256sum -c SHA256SUMS                  every file of this bundle

bundle.json      what this bundle is of
decisions.json   every decision, counted or not, with the assertion of the passkey that signed it, where there is one
manifests/       the exact bytes that were signed, named by their sha256: the digest of the decisions
artifacts.json   every file of evidence: its sha256, and who brought it; verify.py names what no entry tells of
audit.jsonl      entries of the audit with the personal data that stands outside of the chain, and their checkpoints
time-stamps/     what an authority for time (RFC 3161) answered, where one was asked: N.json is the checkpoint at #N,
                 N.tsr the answer. That it was there, and when, openssl says, by the certificate of the authority's
                 root: best the one that you got from there, not authority.pem:
  openssl ts -verify -data time-stamps/N.json -in time-stamps/N.tsr -CAfile ROOT.pem
  openssl ts -reply -in time-stamps/N.tsr -text
notices.json     what was told, and each attempt
incidents.json   incidents with their timelines
rollouts/N/      rollout.json (runs, steps, break-glass), samples/ (what watches measured), steps/ (what was printed)
artifacts/, attachments/   the files themselves, where they were asked for

audit.jsonl is made of pieces, each without a gap and up to the next signed checkpoint, or to the newest entry where
none was signed yet: verify.py says how many entries at the end that are. The chain binds what lies between, so it tells
of other components, too: hand this on with care. How all of it is made up: docs/audit-format.md.
What no entry tells stands in SHA256SUMS alone, which nobody signed: bundle.json, logs, samples, notices, incidents,
stories but for the states in them, artifacts' release, rollout, run, by, replaced_at, file, and whether one is gone.
verify.py prints which entries are not inside. Between the first and the last of what happened none is left out.
Backups are not inside: they hold production data. Their sha256 stands in artifacts.json, as entries tell it.
"""
UNNUMBERED = """
AN ENTRY LOST ITS NUMBER. Somebody wrote something else in its place, so no bundle holds it: {}
`manage.py audit verify` names it.
"""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which rollouts a bundle is of, and whether the files of evidence are inside."""

    title: str
    name: str
    rollouts: QuerySet[Rollout]
    period: Period | None = None
    with_files: bool = True

    def keys(self) -> QuerySet[Any]:
        """Return the numbers of the rollouts as text."""
        return bundle_spans.texts(self.rollouts)


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many files, and rollouts, a bundle holds, and the sha256 of its SHA256SUMS."""

    files: int
    rollouts: int
    sums: str


class Sink:
    """Takes the files of a bundle piece by piece, and keeps their sha256s."""

    def __init__(self, bundle: zipfile.ZipFile, now: datetime) -> None:
        self.bundle, self.moment, self.sums = bundle, now.astimezone(UTC).timetuple()[:6], dict[str, str]()

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write one file."""
        about, digest = zipfile.ZipInfo(name, self.moment), hashlib.sha256()
        about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        with self.bundle.open(about, "w", force_zip64=True) as out:
            for piece in pieces:
                digest.update(piece)
                out.write(piece)
        self.sums[name] = digest.hexdigest()


def of_rollout(rollout: Rollout) -> Scope:
    """Return the scope of one rollout, with the files of its evidence."""
    name = f"rollout-{rollout.pk}-{rollout.target.component.name}-{rollout.release.version}.zip"
    rows = Rollout.objects.filter(pk=rollout.pk)
    return Scope(title=f"rollout {rollout.pk}, {rollout}", name=name, rollouts=rows)


def of_period(period: Period, *, with_files: bool = False) -> Scope:
    """Return the scope of all rollouts of a period; the files of their evidence are only listed, unless asked for."""
    first, last = f"{period.since:%Y%m%d}", f"{bundle_rows.last_day(period):%Y%m%d}"
    place = "".join(f"-{part}" for part in (period.component, period.environment) if part)
    title = f"the rollouts {period.basis} from {first} to {last}{place.replace('-', ' ', 1)}"
    name = f"bundle-{period.basis}-{first}-{last}{place}.zip"
    return Scope(title=title, name=name, rollouts=period.rollouts(), period=period, with_files=with_files)


def write(scope: Scope, out: IO[bytes], *, now: datetime) -> Written:
    """Write a bundle into an open file, all of one moment and a piece at a time, and return what it holds."""
    with snapshot(), zipfile.ZipFile(out, "w") as bundle:
        sink, numbers = Sink(bundle, now), list(scope.rollouts.values_list("pk", flat=True))
        for name, pieces in _files(scope, numbers, sink.sums, now):
            sink.add(name, pieces)
        sums = "".join(f"{digest}  {name}\n" for name, digest in sink.sums.items())
        sink.add("SHA256SUMS", [sums.encode()])
    return Written(files=len(sink.sums), rollouts=len(numbers), sums=hashlib.sha256(sums.encode()).hexdigest())


def _files(
    scope: Scope, numbers: list[int], inside: Mapping[str, str], now: datetime
) -> Iterator[tuple[str, Iterable[bytes]]]:
    rollouts, keys, period = scope.rollouts, scope.keys(), scope.period
    pieces = audit_pieces.joined(bundle_spans.needed(rollouts, keys, period))
    incidents = bundle_rows.incident_rows(keys, rollouts, period)
    with raw_rows.any_text("backslashreplace"):
        lost = audit_pages.unnumbered()
    warning = UNNUMBERED.format(unseen.in_codes(", ".join(lost))) if lost else ""
    yield "README.txt", [(README.format(title=scope.title, now=now) + warning).encode()]
    yield "verify.py", [Path(verify.__file__).read_bytes()]
    yield "bundle.json", [_json({**_about(scope, numbers, pieces, now), "unnumbered": lost})]
    yield "audit.jsonl", (line.encode() for line in audit_pieces.jsonl(pieces))
    yield from bundle_files.time_stamps_of(pieces)
    yield "decisions.json", _array(bundle_rows.decisions(keys))
    yield from ((f"manifests/{digest}.json", [text.encode()]) for digest, text in bundle_rows.manifests(rollouts))
    if scope.with_files:
        attachments = Attachment.objects.filter(incident__in=incidents.order_by().values("pk"))
        yield from bundle_files.evidence_of(bundle_files.artifacts_of(rollouts), attachments)
    yield "artifacts.json", _array(bundle_rows.artifacts(rollouts, inside=inside))
    # no hash covers what follows: a secret that nobody took out of it before is taken out now
    yield "notices.json", redact.stream(_array(bundle_rows.notices(keys, period)))
    yield "incidents.json", redact.stream(_array(bundle_rows.incidents(incidents)))
    for rollout in Rollout.objects.with_places().filter(pk__in=rollouts.order_by()).iterator(chunk_size=CHUNK):
        yield f"rollouts/{rollout.pk}/rollout.json", redact.stream([_json(bundle_rows.story(rollout))])
        yield from bundle_files.of_rollout(rollout)


def _about(scope: Scope, numbers: list[int], pieces: list[audit_pieces.Span], now: datetime) -> dict[str, Any]:
    seq, digest = audit.head()
    return {
        "version": VERSION,
        "of": scope.title,
        "rollouts": numbers,
        "period": bundle_rows.told(scope.period) if scope.period else None,
        "all_of": bundle_rows.all_of(scope.period),
        "pieces": [list(piece) for piece in pieces],
        "head": {"seq": seq, "hash": digest},
        "made_at": audit.stamp(now),
    }


def _array(rows: Iterable[Any]) -> Iterator[bytes]:
    """Yield a JSON array, a row a line, so that neither side has to hold all of it."""
    between = "[\n"
    for row in rows:
        yield (between + json.dumps(row, ensure_ascii=False)).encode()
        between = ",\n"
    yield b"\n]\n" if between == ",\n" else b"[]\n"


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
