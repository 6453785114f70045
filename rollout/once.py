"""Does what came with a key once: asked again, it leads to the first one's answer; used by the browser and the API.

The key is kept in the transaction of the work, so that a kill leaves both or none, and a refusal leaves the key free.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from approvals.ledger import Refused
from monitoring import audit
from rollout.models import Idempotency

FIELD = "once"
KEY = re.compile(r"(\d{1,10})-[\w-]{22}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that carries a key: whose it is, where it goes, the sha256 of what it asks for."""

    owner_id: int
    route: str
    key: str
    body_sha256: str


@dataclass
class Answer:
    """What a request led to: where a browser goes on (302), or the JSON that the API gave."""

    status: int = 302
    text: str = ""
    refused: bool = False

    def forget(self) -> None:
        """Leave the key free: what was asked for was not done, though nothing was raised."""
        self.refused = True


class OtherBodyError(Refused):
    """The key was used already, for something else."""


class AnsweredError(Exception):
    """Another request with the key was faster, between our look and our work: look again."""


def new_key(now: datetime) -> str:
    """Return a fresh key for a form; it begins with the moment, so that a refusal can tell what came after."""
    return f"{int(now.timestamp())}-{secrets.token_urlsafe(16)}"


def moment_of(key: str) -> datetime | None:
    """Return when the form with this key was rendered; None when it is no key of ours."""
    found = KEY.fullmatch(key)
    return datetime.fromtimestamp(int(found[1]), UTC) if found else None


@contextmanager
def claim(asked: Asked | None, *, now: datetime, text: str = "") -> Iterator[Answer]:
    """Do the work of the block in one transaction with its key; without a key, just in one transaction.

    The block may change the answer that is kept. Raises AnsweredError when the key is taken already.
    """
    answer = Answer(text=text)
    with transaction.atomic():
        row = _take(asked, now) if asked else None
        with audit.turn():  # after the key: whoever waits for a key holds nothing that its owner could want
            yield answer
        if row is not None:
            _keep(row, answer)


def answer_to(asked: Asked) -> Answer | None:
    """Return what was answered to this key; None when it is new. Raises OtherBodyError."""
    row = _rows(asked).first()
    if row is None:
        return None
    if row.body_sha256 != asked.body_sha256:
        raise OtherBodyError("This was sent already, with something else in it. Nothing was done this time.")
    return Answer(status=row.status, text=row.response)


def is_known(asked: Asked) -> bool:
    """Say whether this key was answered, whatever was asked under it."""
    return _rows(asked).exists()


def _rows(asked: Asked) -> QuerySet[Idempotency]:
    return Idempotency.objects.filter(owner_id=asked.owner_id, route=asked.route, key=asked.key)


def _take(asked: Asked, now: datetime) -> Idempotency:
    try:
        # first of all: whoever comes second waits here until the first has committed, on PostgreSQL too
        return Idempotency.objects.create(
            owner_id=asked.owner_id,
            route=asked.route,
            key=asked.key,
            body_sha256=asked.body_sha256,
            status=0,
            response="",
            at=now,
        )
    except IntegrityError as taken:
        raise AnsweredError from taken


def _keep(row: Idempotency, answer: Answer) -> None:
    if answer.refused:
        row.delete()
    else:
        Idempotency.objects.filter(pk=row.pk).update(status=answer.status, response=answer.text)
