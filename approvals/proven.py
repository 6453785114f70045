"""Whether what a sign-off rests on is what the audit told when it happened: an edited database starts nothing.

Every row of a decision is compared with its entry and every entry with its row, the sign-off with the entry that
opened it and with its manifest, and what passkeys signed is verified again.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from monitoring import audit_told
from monitoring.models import AuditEntry
from monitoring.verify import DECIDED, PASSKEYS, decision_problems

from . import bound
from .models import SignOff
from .proof import Refused

Json = dict[str, Any]
OPENED = "sign_off.opened"
CHUNK = 200
# what reading rows that anybody may have written can raise
BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def require(sign_off: SignOff) -> None:
    """Raise Refused, with the first thing that is wrong, unless a sign-off is what the audit tells."""
    if wrong := next(problems(sign_off), ""):
        raise Refused(f"The audit does not bear this sign-off out: {wrong}. The database was edited; nothing starts.")


def problems(sign_off: SignOff) -> Iterator[str]:
    """Yield what of a sign-off, and of the decisions over it, is not what the audit tells."""
    rows = sign_off.decisions.select_related("signature").order_by("seq")
    decisions = [bound.carried(one) for one in rows]
    entries, wrong = audit_told.told(_about(sign_off))
    entries = [one for one in entries if one["data"].get("sign_off") == sign_off.pk]
    signers = {str(one["user"]) for one in decisions if one["assertion"]}
    passkeys, unsound = audit_told.told(_passkeys(signers))
    yield from (*wrong, *unsound)
    yield from opened_problems(sign_off, [one for one in entries if one["action"] == OPENED])
    yield from compared(decisions, [one for one in entries if one["action"] in DECIDED], passkeys)


def all_problems() -> Iterator[str]:
    """Yield, of every sign-off, what the audit does not bear out; also of those that were removed."""
    told = dict(_opened())
    for sign_off in SignOff.objects.order_by("pk").iterator(chunk_size=CHUNK):
        told.pop(sign_off.pk, None)
        yield from (f"{sign_off}: {problem}" for problem in problems(sign_off))
    yield from (f"sign-off {pk}: #{seq} tells that it was opened, but it is not there" for pk, seq in told.items())


def opened_problems(sign_off: SignOff, entries: list[Json]) -> Iterator[str]:
    """Yield how a sign-off is not what the entry that opened it says, nor what its manifest does."""
    if len(entries) != 1:
        yield f"{len(entries) or 'no'} entries tell that it was opened"
        return
    data, now = entries[0]["data"], {"digest": sign_off.digest, **bound.opening(sign_off)}
    for name, value in now.items():
        if data.get(name, value) != value:  # an older version told less
            yield f"its {NAMES[name]} is not what #{entries[0]['seq']} says"
    if hashlib.sha256(sign_off.manifest.encode("utf-8", "surrogatepass")).hexdigest() != sign_off.digest:
        yield "its manifest does not have the digest that was signed"
    elif json.loads(sign_off.manifest).get("policy", sign_off.policy) != sign_off.policy:
        yield "its policy is not the one in the manifest that was signed"


def compared(decisions: Iterable[Json], entries: list[Json], passkeys: list[Json]) -> Iterator[str]:
    """Yield how decisions and the entries that tell of them differ, both ways; pure."""
    here = {row["decision"]: row for row in decisions}
    told: dict[int, Json] = {}
    for one in entries:
        number = one["data"]["decision"]
        if number in told:
            yield f"decision {number}: both #{told[number]['seq']} and #{one['seq']} tell of it"
        if number not in here:
            yield f"decision {number}: #{one['seq']} tells of it, but it is not there"
        told[number] = one
    for number, row in here.items():
        by = f"decision {number} by {row['printed_name']}"
        if number not in told:
            yield f"{by}: no entry of the audit tells of it"
            continue
        try:
            found = list(decision_problems(row, told[number], passkeys))
        except BROKEN as error:
            found = [f"it cannot be read: {error!r}"]
        yield from (f"{by}: {problem}" for problem in found)


NAMES = {"digest": "digest", "barred": "list of who is barred", "sign_off_sha256": "policy, list, time or subject"}


def _about(sign_off: SignOff) -> QuerySet[AuditEntry]:
    about = {"subject_kind": sign_off.subject_kind, "subject_id": sign_off.subject_id}
    return AuditEntry.objects.filter(action__in=[OPENED, *DECIDED], **about)


def _passkeys(users: Iterable[str]) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(action__in=PASSKEYS, subject_kind="user", subject_id__in=users)


def _opened() -> Iterator[tuple[int, int]]:
    rows = AuditEntry.objects.filter(action=OPENED).order_by("seq").values_list("seq", "body")
    for seq, body in rows.iterator(chunk_size=CHUNK):
        yield json.loads(body)["data"]["sign_off"], seq
