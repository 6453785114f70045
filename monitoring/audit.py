"""Write the audit: one hash chain, one entry a move, in the transaction of the change that it tells of."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.db import connection, transaction
from django.db.models import F

from . import canonical
from .models import AuditEntry, AuditHead

VERSION = 1
HEAD_ID = 1
LABEL_MAX = 200
NAME_MAX = 150

Via = Literal["browser", "shell", "api", "system"]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acted, and through which door. `session` is hashed before it is kept."""

    id: int | None
    name: str
    via: Via
    address: str = ""
    session: str = ""
    request_id: str = ""
    os_user: str = ""


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

    Call it last in the transaction of the move that it tells of: from here to the commit no other append gets in.
    Raises RuntimeError outside a transaction, and NotCanonicalError for `data` with a float.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(
            "audit.append needs the transaction of the change it tells of: call it in transaction.atomic()"
        )
    seq, prev = _take_head()
    person = _person(by)
    fields = {"action": action, "why": why, "old": old, "new": new}
    body = canonical.dumps(
        {
            "version": VERSION,
            "seq": seq,
            "at": stamp(now),
            "actor": _actor(by, person),
            "subject": _subject(subject),
            "data": dict(data or {}),
            "prev": prev,
            **fields,
        }
    )
    entry = AuditEntry.objects.create(
        seq=seq,
        at=now,
        actor_id=by.id,
        actor_name=by.name[:NAME_MAX],
        person=person,
        via=by.via,
        body=body,
        prev=prev,
        hash=hashlib.sha256(body.encode("utf-8")).hexdigest(),
        **fields,
        **subject.columns(),
    )
    AuditHead.objects.filter(pk=HEAD_ID).update(hash=entry.hash)
    return entry


def head() -> tuple[int, str]:
    """Return sequence number and hash of the newest entry; (0, 64 zeros) when there is none."""
    row = AuditHead.objects.filter(pk=HEAD_ID).first()
    return (row.seq, row.hash) if row else (0, "0" * 64)


def erase_person(user_id: int, *, by: Actor, why: str, now: datetime) -> int:
    """Empty the personal data of one user in all entries, audit that, and return how many entries were emptied.

    The chain goes on verifying, because the bodies hold only salted hashes of it.
    """
    with transaction.atomic():
        count = AuditEntry.objects.filter(actor_id=user_id).exclude(person="").update(person="", actor_name="")
        about = Subject(kind="user", id=str(user_id), label=f"user {user_id}")
        append(action="audit.person_erased", by=by, subject=about, why=why, data={"entries": count}, now=now)
    return count


def stamp(at: datetime) -> str:
    """Return a moment as the bodies write it: ISO 8601, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _take_head() -> tuple[int, str]:
    # The update takes the row lock on PostgreSQL (and waits for it); on SQLite the transaction is IMMEDIATE already.
    if not AuditHead.objects.filter(pk=HEAD_ID).update(seq=F("seq") + 1):
        AuditHead.objects.bulk_create([AuditHead(pk=HEAD_ID)], ignore_conflicts=True)
        AuditHead.objects.filter(pk=HEAD_ID).update(seq=F("seq") + 1)
    row = AuditHead.objects.get(pk=HEAD_ID)
    return row.seq, row.hash


def _person(by: Actor) -> str:
    return canonical.dumps(
        {
            "name": by.name[:NAME_MAX],
            "address": by.address,
            # a session key would open the session; its hash still tells two sessions apart
            "session": hashlib.sha256(by.session.encode()).hexdigest()[:16] if by.session else "",
            "os_user": by.os_user,
            "salt": secrets.token_hex(16),
        }
    )


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
