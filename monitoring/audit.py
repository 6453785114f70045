"""Write the audit: one hash chain, one entry a move, in the transaction of the change that it tells of."""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

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


def append(
    *,
    action: str,
    by: Actor,
    subject: Subject,
    why: str = "",
    old: str = "",
    new: str = "",
    data: Mapping[str, Any] | None = None,
    now: datetime,
) -> AuditEntry:
    """Append one entry to the chain and return it.

    Call it in the `turn()` of the move that it tells of.
    Raises RuntimeError outside a transaction, and NotCanonicalError for `data` with a float.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audit.append needs the transaction of the change it tells of: call it in audit.turn()")
    person, data = _person(by), dict(data or {})
    fields = {"action": action, "why": why, "old": old, "new": new}
    sealed = _sealed(data, json.loads(person)["salt"])
    told = {"actor": _actor(by, person), "subject": _subject(subject), "data": sealed, "at": stamp(now), **fields}
    known = {"at": now, "actor_id": by.id, "actor_name": by.name[:NAME_MAX], "person": person, "via": by.via, **fields}
    for _ in ("remembered", "read again"):
        head = audit_rows.head()
        body = canonical.dumps({"version": VERSION, "seq": head.seq + 1, "prev": head.hash, **told})
        digest = hashlib.sha256(body.encode("utf-8")).hexdigest()
        chained = {"seq": head.seq + 1, "prev": head.hash, "hash": digest, "body": body}
        entry = AuditEntry(**known, **chained, **subject.columns())
        if audit_rows.put(entry, head, _after(head, digest, now)):
            return entry
    raise RuntimeError("the head of the audit changed in the hands of who had taken it: nothing was appended")


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


def _person(by: Actor) -> str:
    return canonical.dumps(
        {
            "name": by.name[:NAME_MAX],
            "address": by.address,
            # a session key would open the session; its hash still tells two sessions apart
            "session": hashlib.sha256(by.session.encode()).hexdigest()[:16] if by.session else "",
            "os_user": by.os_user,
            **({"printed": by.printed[:NAME_MAX], "on_behalf": by.on_behalf[:NAME_MAX]} if by.printed else {}),
            "salt": secrets.token_hex(16),
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


def _subject(subject: Subject) -> dict[str, str]:
    columns = subject.columns()
    return {
        "kind": columns["subject_kind"],
        "id": columns["subject_id"],
        "label": columns["subject_label"],
        "component": columns["component"],
        "environment": columns["environment"],
    }
