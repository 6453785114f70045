"""The time stamps (RFC 3161) that checkpoints of the audit were given: kept as they came, and checked."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from . import anchors, raw_rows, rfc3161
from .models import Checkpoint, TimeStamp
from .rfc3161 import Certificates, Stamp, StampError
from .verify import UNREADABLE

CLOCK = timedelta(minutes=5)  # by so much our clock may be ahead before it is worth a word
CHUNK = 200
Spread = Callable[[Callable[[Any], Any], list[Any]], Iterable[Any]]
Piece = tuple[tuple[int, str], int | None]  # of the chain, as audit_verify cuts it: what it goes on from, and its end


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A stamp that was looked at: what it says, and the moment that its checkpoint says; or what is wrong with it."""

    seq: int
    digest: str  # sha256 of the authority's answer
    stamp: Stamp | None = None
    said: datetime | None = None
    wrong: str = ""

    @property
    def ahead(self) -> bool:
        """Say whether the checkpoint names a later time than that at which the authority had it already."""
        return bool(self.stamp and self.said and self.said - self.stamp.at > CLOCK)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the stamps establish: how many hold, and the newest of them; what is wrong, and what is not established."""

    count: int = 0
    newest: Checked | None = None
    problems: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def keep(seq: int, answer: bytes, *, now: datetime) -> None:
    """Keep the answer of an authority about a checkpoint, and note in the anchor file that there is one."""
    TimeStamp.objects.bulk_create([TimeStamp(seq=seq, token=answer, kept_at=now)], ignore_conflicts=True)
    kept = _as_bytes(
        TimeStamp.objects.values_list("token", flat=True).get(seq=seq)
    )  # another host may have been faster
    anchors.note_time_stamp(seq, hashlib.sha256(kept).hexdigest())


def numbered() -> QuerySet[TimeStamp]:
    """Return the stamps that have a number; SQLite keeps whatever somebody put into its column."""
    return TimeStamp.objects.filter(seq__lte=raw_rows.LARGEST)


def kept_between(since: datetime, until: datetime) -> bool:
    """Say whether a stamp was kept between two moments."""
    return TimeStamp.objects.filter(kept_at__gt=since, kept_at__lt=until).exists()


def read(rows: QuerySet[TimeStamp]) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield number, authority's answer and the text of the checkpoint that it has to be of, in the order of `rows`."""
    tokens = rows.values_list(raw_rows.number("seq"), "token").iterator(chunk_size=CHUNK)
    while True:
        with raw_rows.any_text("backslashreplace"):
            part = list(islice(tokens, CHUNK))
            bodies = dict(Checkpoint.objects.filter(seq__in=[seq for seq, _ in part]).values_list("seq", "body"))
        yield from ((seq, _as_bytes(token), bodies.get(seq)) for seq, token in part)
        if len(part) < CHUNK:
            return


def verify(chosen: list[Piece], spread: Spread = map) -> Verified:
    """Check every stamp against the checkpoint of its number, and that those are there which the anchor file noted.

    A piece of the chain is a share of the work, which `spread` may give to a process of its own.
    """
    noted = anchors.time_stamps()
    if not noted and not TimeStamp.objects.exists():
        return Verified()
    if why := rfc3161.cannot_check(settings.GR_TSA_CA_FILE):
        return Verified(limits=(f"what the time stamps say: {why}",))
    found = [one for part in spread(_check_all, chosen) for one in part]
    right, kept = [one for one in found if one.stamp], {one.seq: one.digest for one in found}
    wrong = [(one.seq, one.wrong) for one in found if one.wrong]
    wrong += [(seq, "it is gone, or another") for seq, digest in noted.items() if kept.get(seq) != digest]
    return Verified(
        count=len(right),
        newest=right[-1] if right else None,
        problems=tuple(f"time stamp of the checkpoint at #{seq}: {words}" for seq, words in sorted(wrong)),
        limits=tuple(_ahead(one, one.stamp) for one in right if one.stamp and one.ahead),
    )


def newest() -> Checked | None:
    """Return the newest stamp, looked at; None where there is none, or none can be checked here."""
    if rfc3161.cannot_check(settings.GR_TSA_CA_FILE):
        return None
    one = next(read(numbered().order_by("-seq")[:1]), None)
    return _check(*one, rfc3161.certificates(settings.GR_TSA_CA_FILE)) if one else None


def _check_all(piece: Piece) -> list[Checked]:
    (after, _), to = piece
    rows = TimeStamp.objects.filter(seq__gt=after).order_by("seq")
    trusted = rfc3161.certificates(settings.GR_TSA_CA_FILE)
    return [_check(*one, trusted) for one in read(rows if to is None else rows.filter(seq__lte=to))]


def _check(seq: int, answer: bytes, text: str | None, trusted: Certificates) -> Checked:
    digest = hashlib.sha256(answer).hexdigest()
    if text is None:
        return Checked(seq=seq, digest=digest, wrong="there is no such checkpoint")
    try:
        stamp = rfc3161.check(answer, text, trusted=trusted)
        said = datetime.fromisoformat(json.loads(text)["at"])
    except (StampError, *UNREADABLE) as error:
        return Checked(seq=seq, digest=digest, wrong=str(error))
    return Checked(seq=seq, digest=digest, stamp=stamp, said=said)


def _ahead(one: Checked, stamp: Stamp) -> str:
    return (
        f"when the checkpoint at #{one.seq} was made: it says {one.said:%Y-%m-%d %H:%M:%S} UTC, but "
        f"{stamp.authority} had it at {stamp.at:%Y-%m-%d %H:%M:%S}: the clock here was ahead"
    )


def _as_bytes(token: Any) -> bytes:
    return bytes(token) if isinstance(token, bytes | memoryview) else str(token).encode()
