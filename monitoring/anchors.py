"""The anchor file: what is known of the audit outside of the database, a JSON line each, appended and made durable.

A line is a checkpoint, notes its time stamp, or tells what these cannot: that the file was begun anew, that a restore
or a person gave entries up, that a key was lost.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from . import audit, raw_rows, storage
from .audit import SYSTEM, Subject
from .models import AuditEntry, Checkpoint, TimeStamp
from .verify import Signed, number_of

TAIL_BYTES = 1 << 16
KINDS = {"checkpoint": str, "signature": str, "accepted": dict, "key": dict, "begun": dict, "time_stamp": dict}
ABOUT = Subject(kind="audit", id="1", label="audit")


@dataclass(frozen=True)
class Point:
    """An entry that the file knows: its number, and its hash."""

    seq: int
    hash: str


def path() -> Path:
    """Return where the anchor file stands."""
    return Path(settings.GR_ANCHOR_FILE)


def refusal() -> str:
    """Return why the database is not the one that the anchor file knows, and what to do; empty when it is."""
    known = last()
    if known is None or known.seq == 0:
        return ""
    seq = audit.head()[0]
    if seq < known.seq:
        what = f"The audit ends at #{seq}, but {path().name} knows #{known.seq}: the database was set back"
    elif _holds(known):
        return ""
    else:
        what = f"Entry #{known.seq} of the audit is not the one that {path().name} knows: the history was rewritten"
    return (
        f"{what}. Nothing is deployed until that is explained: bring back the database that holds "
        f"#{known.seq} {known.hash[:12]}, or, if this one is meant to be here, say why with `manage.py audit accept`."
    )


def last() -> Point | None:
    """Return the newest entry that the file knows; None when there is no file."""
    newest = _newest()
    if newest is None:
        return None
    return next((point for point in map(_point, newest) if point is not None), Point(0, ""))


def begin(now: datetime) -> None:
    """Begin a file that is gone anew, and audit that: a witness that comes from the database itself."""
    if last() is not None or not Checkpoint.objects.exists():
        return
    with audit.turn():
        audit.append(action="audit.anchors_begun", by=SYSTEM, subject=ABOUT, data={"file": path().name}, now=now)
    append(_line("begun", at=audit.stamp(now)))


def line_of(one: Checkpoint) -> str:
    """Return a checkpoint as a line of the anchor file and of an export."""
    return json.dumps({"checkpoint": one.body, "signature": one.signature}, ensure_ascii=False)


def given_up() -> dict[str, int | str]:
    """Return, as the data of an entry, up to where the database is what the file knows, and what is given up beyond."""
    known, seq = last(), audit.head()[0]
    if known is None or not refusal():
        return {"back_to": seq}
    below = [(number_of(text), text) for text, _ in signed()[0] if number_of(text) <= seq]
    agreed = [number for number, text in below if _holds(Point(number, str(json.loads(text)["hash"])))]
    back_to = seq if len(agreed) == len(below) and known.seq > seq else max(agreed, default=0)
    return {"back_to": back_to, "given_up": known.seq, "given_up_hash": known.hash}


def note_accepted(back_to: int, *, why: str, now: datetime, set_back: bool = True) -> None:
    """Write into the file that the database as it is now is the right one; the audit tells it already.

    `set_back`: it is an older one, so that time stamps which came later are given up, too.
    """
    seq, digest = audit.head()
    stamped = {"stamped_to": stamped_to()} if set_back else {}
    append(_line("accepted", back_to=back_to, seq=seq, hash=digest, at=audit.stamp(now), why=why, **stamped))


def note_key(key: str, *, why: str, now: datetime) -> None:
    """Write into the file that a key signs which the one before it could not announce."""
    append(key_line(key, why=why, now=now))


def key_line(key: str, *, why: str, now: datetime) -> str:
    """Return the line that tells of such a key."""
    return _line("key", key=key, at=audit.stamp(now), why=why)


def signed() -> tuple[list[Signed], set[str]]:
    """Return the checkpoints that the file holds the database to, and the keys that it trusts."""
    held: list[Signed] = []
    keys: set[str] = set()
    for told in _lines():
        if "checkpoint" in told:
            held.append((told["checkpoint"], told["signature"]))
        elif "accepted" in told:
            held = [one for one in held if number_of(one[0]) <= int(told["accepted"]["back_to"])]
        elif "key" in told:
            keys.add(str(told["key"]["key"]))
    if held:
        keys.add(str(json.loads(held[0][0])["key"]))
    return list(dict.fromkeys(held)), keys


def note_time_stamp(seq: int, digest: str) -> None:
    """Write into the file that an authority stamped the checkpoint of an entry: its answer has this sha256."""
    append(_line("time_stamp", seq=seq, sha256=digest))


def time_stamps() -> dict[int, str]:
    """Return the sha256 of each time stamp that the file holds the database to, by the number of its checkpoint."""
    found: dict[int, str] = {}
    for told in _lines():
        if "time_stamp" in told:
            found[int(told["time_stamp"]["seq"])] = str(told["time_stamp"]["sha256"])
        elif "accepted" in told:
            over = told["accepted"]
            upto = min(int(over["back_to"]), int(over.get("stamped_to", over["back_to"])))
            found = {seq: one for seq, one in found.items() if seq <= upto}
    return found


def stamped_to() -> int:
    """Return the number of the newest checkpoint with a time stamp in the database; 0 without one."""
    numbered = TimeStamp.objects.filter(seq__lte=raw_rows.LARGEST)  # SQLite keeps whatever somebody put there
    return numbered.order_by("-seq").values_list("seq", flat=True).first() or 0


def _holds(point: Point) -> bool:
    return AuditEntry.objects.filter(seq=point.seq, hash=point.hash).exists()


def _line(kind: str, **values: int | str) -> str:
    return json.dumps({kind: values}, ensure_ascii=False, sort_keys=True)


def append(*lines: str) -> None:
    """Append lines, durably; a torn line of a process that was killed is ended first."""
    new = not path().exists()
    storage.make_directory(path().parent)
    descriptor = os.open(path(), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        file.write((b"\n" if torn else b"") + "".join(f"{line}\n" for line in lines).encode())
        storage.sync_open(file)
    if new:
        storage.sync_directory(path().parent)


def newest_first() -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the file, the newest first; more than its end is read only for who asks on."""
    tail = _newest() or []
    yield from tail
    if path().exists() and path().stat().st_size > TAIL_BYTES:
        yield from list(_lines())[::-1][len(tail) :]


def _newest() -> list[Mapping[str, Any]] | None:
    """Return the newest lines of the file, the newest first; None when there is no file."""
    try:
        with path().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return [told for told in map(_read, reversed(file.read().split(b"\n"))) if told]
    except FileNotFoundError:
        return None


def _lines() -> Iterator[Mapping[str, Any]]:
    try:
        with path().open("rb") as file:
            yield from (told for told in map(_read, file) if told)
    except FileNotFoundError:
        return


def _read(line: bytes) -> Mapping[str, Any]:
    """Return a line; nothing of one that is torn, or is no line of ours."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    right = isinstance(told, dict) and all(isinstance(told[kind], of) for kind, of in KINDS.items() if kind in told)
    return told if right else {}


def _point(told: Mapping[str, Any]) -> Point | None:
    if "checkpoint" in told:
        body = json.loads(told["checkpoint"])
        return Point(int(body["seq"]), str(body["hash"]))
    if "accepted" in told:
        return Point(int(told["accepted"]["seq"]), str(told["accepted"]["hash"]))
    return None
