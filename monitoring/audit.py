"""Write the audit: one hash chain, one entry a move, in the transaction of the change that it tells of."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Required, TypedDict, Unpack

from django.db import connection, transaction

from . import audit_rows, canonical
from .audit_rows import HEAD_ID, Head
from .models import AuditEntry, AuditHead

VERSION = 1
LABEL_MAX = 200
NAME_MAX = 150

Via = Literal["browser", "shell", "api", "system"]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acted, and through which door. `session` is hashed before it is kept.

    `printed` is how a person signs, and `on_behalf` the printed name of whom he stands in for.
    """

    id: int | None
    name: str
    via: Via
    address: str = ""
    session: str = ""
    request_id: str = ""
    os_user: str = ""
    printed: str = ""
    on_behalf: str = ""


@dataclass(frozen=True)
class Sealed:
    """Personal data in an entry's `data`: the body holds its hash under the salt of the entry's `person`."""

    text: str


SYSTEM = Actor(id=None, name="system", via="system")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an entry, a notice or an incident is about, as text that outlives it."""

    kind: str
    id: str
    label: str
    component: str = ""
    environment: str = ""

    def columns(self) -> dict[str, str]:
        """Return the values of the columns of AboutSubject."""
        return {
            "subject_kind": self.kind,
            "subject_id": str(self.id),
            "subject_label": self.label[:LABEL_MAX],
            "component": self.component,
            "environment": self.environment,
        }


@contextmanager
def turn() -> Iterator[None]:
    """Open the transaction of a move, and take its turn: until it ends, nobody else appends to the audit.

    The turn comes before every other row. Two that took a row and the turn in different orders would wait for each
    other, and PostgreSQL ends one of them.
    """
    with transaction.atomic(), audit_rows.turn():
        yield


@dataclass(frozen=True)
class Draft:
    """An entry that has no place in the chain yet, and what its body tells beside that place."""

    entry: AuditEntry
    told: Mapping[str, Any]


class Telling(TypedDict, total=False):
    """What an entry is told: who did what to which subject when, from which state to which, and why."""

    action: Required[str]
    by: Required[Actor]
    subject: Required[Subject]
    why: str
    old: str
    new: str
    data: Mapping[str, Any] | None
    now: Required[datetime]


def draft(**telling: Unpack[Telling]) -> Draft:
    """Write an entry as far as that goes before its turn, in which all others wait.

    Raises NotCanonicalError for `data` with a float.
    """
    by, now = telling["by"], telling["now"]
    salt = secrets.token_hex(16)
    person, about = _person(by, salt), telling["subject"].columns()
    fields = {"action": telling["action"], **{name: telling.get(name, "") for name in ("why", "old", "new")}}
    data = {"data": _sealed(telling.get("data") or {}, salt)}
    canonical.check(data)
    told = {"actor": _actor(by, person), "subject": _subject(about), "at": stamp(now), **fields, **data}
    who = {"actor_id": by.id, "actor_name": by.name[:NAME_MAX], "person": person, "via": by.via}
    return Draft(AuditEntry(at=now, **who, **fields, **about), {"version": VERSION, **told})


def place(written: Draft) -> AuditEntry:
    """Append a draft to the chain and return the entry.

    Call it in the `turn()` of the move that it tells of. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audit.append needs the transaction of the change it tells of: call it in audit.turn()")
    entry = written.entry
    for _ in ("remembered", "read again"):
        head = audit_rows.head()
        entry.seq, entry.prev = head.seq + 1, head.hash
        entry.body = canonical.dumps_checked({"seq": entry.seq, "prev": entry.prev, **written.told})
        entry.hash = hashlib.sha256(entry.body.encode("utf-8")).hexdigest()
        if audit_rows.put(entry, head, _after(head, entry.hash, entry.at)):
            return entry
    raise RuntimeError("the head of the audit changed in the hands of who had taken it: nothing was appended")


def append(**telling: Unpack[Telling]) -> AuditEntry:
    """Append one entry to the chain and return it: `draft` and `place` at once, in the `turn()` of the move."""
    return place(draft(**telling))


def head() -> tuple[int, str]:
    """Return sequence number and hash of the newest entry; (0, 64 zeros) when there is none."""
    return AuditHead.objects.filter(pk=HEAD_ID).values_list("seq", "hash").first() or (0, "0" * 64)


def erase_person(user_id: int, *, before: datetime, by: Actor, why: str, now: datetime) -> int:
    """Empty the personal data of one user in all older entries, audit that, and return how many were emptied.

    The chain goes on verifying, because the bodies hold only salted hashes of it.
    """
    with turn():
        count = (
            AuditEntry.objects.filter(actor_id=user_id, at__lt=before)
            .exclude(person="")
            .update(person="", actor_name="")
        )
        about = Subject(kind="user", id=str(user_id), label=f"user {user_id}")
        data = {"entries": count, "before": stamp(before)}
        append(action="audit.person_erased", by=by, subject=about, why=why, data=data, now=now)
    return count


def stamp(at: datetime) -> str:
    """Return a moment as the bodies write it: ISO 8601, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _after(head: Head, digest: str, now: datetime) -> Head:
    """Return the head after an entry of `now`; an empty chain has no times before it."""
    seq = head.seq + 1
    newest = head.newest_at or (now if seq == 1 else None)
    if newest is None:  # of a chain that somebody else wrote: its times are not known
        return replace(head, seq=seq, hash=digest)
    back = (newest - now) // timedelta(microseconds=1)
    return Head(seq, digest, max(newest, now), max(head.set_back_us, back))


def _person(by: Actor, salt: str) -> str:
    return canonical.dumps_checked(
        {
            "name": by.name[:NAME_MAX],
            "address": by.address,
            # a session key would open the session; its hash still tells two sessions apart
            "session": hashlib.sha256(by.session.encode()).hexdigest()[:16] if by.session else "",
            "os_user": by.os_user,
            **({"printed": by.printed[:NAME_MAX], "on_behalf": by.on_behalf[:NAME_MAX]} if by.printed else {}),
            "salt": salt,
        }
    )


def _sealed(value: Any, salt: str) -> Any:
    """Return data with every Sealed in it as sha256 of salt, colon and text: with `person` it goes, too."""
    if isinstance(value, Sealed):
        return hashlib.sha256(f"{salt}:{value.text}".encode()).hexdigest()
    if isinstance(value, Mapping):
        return {key: _sealed(one, salt) for key, one in value.items()}
    return [_sealed(one, salt) for one in value] if isinstance(value, list | tuple) else value


def _actor(by: Actor, person: str) -> dict[str, object]:
    digest = hashlib.sha256(person.encode("utf-8")).hexdigest()
    return {"id": by.id, "via": by.via, "request_id": by.request_id, "person": digest}


def _subject(columns: Mapping[str, str]) -> dict[str, str]:
    return {
        "kind": columns["subject_kind"],
        "id": columns["subject_id"],
        "label": columns["subject_label"],
        "component": columns["component"],
        "environment": columns["environment"],
    }
