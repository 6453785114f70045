"""Whether what a sign-off rests on is what the audit told when it happened: an edited database starts nothing.

Every row of a decision is compared with its entry and every entry with its row, the sign-off with the entry that
opened it and with its manifest, its state with the newest entry that tells one, and what passkeys signed is verified
again. Whoever is to start, is shown that the chain holds from the opening to its head, too.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from django.db import DataError
from django.db.models import QuerySet

from monitoring import audit, audit_told
from monitoring.models import AuditEntry
from monitoring.verify import DECIDED, PASSKEYS, decision_problems

from . import bound
from .models import Decision, SignOff
from .proof import Refused
from .reading import policy_of, voices_of
from .seats import fewest
from .voices import approvals

Json = dict[str, Any]
OPENED = "sign_off.opened"
DELEGATIONS = GIVEN, ENDED = "delegation.given", "delegation.ended"
CHUNK = 200
# what reading rows that anybody may have written can raise
UNREADABLE = (*audit_told.BROKEN, DataError)


def require(sign_off: SignOff) -> list[Decision]:
    """Return the decisions over a sign-off that is what the audit tells; raise Refused with the first thing wrong.

    Whoever counts these counts what was proved: read again, they could be others.
    """
    try:
        rows = list(_rows(sign_off))
        wrong = next(chain(_broken(sign_off, rows), problems(sign_off, rows)), "")
    except UNREADABLE as error:
        wrong = f"it cannot be read: {error!r}"
    if wrong:
        raise Refused(f"The audit does not bear this sign-off out: {wrong}. The database was edited; nothing starts.")
    return rows


def problems(sign_off: SignOff, rows: Iterable[Decision] | None = None) -> Iterator[str]:
    """Yield what of a sign-off, and of its decisions (`rows`, or those that stand), is not what the audit tells."""
    try:
        yield from _problems(sign_off, _rows(sign_off) if rows is None else rows)
    except UNREADABLE as error:
        yield f"it cannot be read: {error!r}"


def _problems(sign_off: SignOff, rows: Iterable[Decision]) -> Iterator[str]:
    decisions = [bound.carried(one) for one in rows]
    entries, wrong = audit_told.told(_about(sign_off))
    entries = [one for one in entries if one["data"].get("sign_off") == sign_off.pk]
    signers = {str(one["user"]) for one in decisions if one["assertion"]}
    passkeys, unsound = audit_told.told(_of_people(PASSKEYS, signers))
    yield from (*wrong, *unsound)
    yield from opened_problems(sign_off, [one for one in entries if one["action"] == OPENED])
    yield from compared(decisions, [one for one in entries if one["action"] in DECIDED], passkeys)
    # as it stands now: who read it before somebody revoked has lost a race, and edited nothing
    state = SignOff.objects.filter(pk=sign_off.pk).values_list("state", flat=True).first() or sign_off.state
    yield from state_problems(state, entries)
    given, edited = _delegations(one["on_behalf_of"] for one in decisions)
    told = {one["data"]["decision"]: one["seq"] for one in entries if one["action"] in DECIDED}
    yield from (*edited, *delegation_problems(decisions, given, told))


def opening_problems(sign_off: SignOff) -> Iterator[str]:
    """Yield how a sign-off, its manifest among it, is not what the audit told when it was opened; whoever decided."""
    entries, wrong = audit_told.told(_about(sign_off).filter(action=OPENED))
    yield from wrong
    yield from opened_problems(sign_off, [one for one in entries if one["data"].get("sign_off") == sign_off.pk])


def used_problems(sign_off: SignOff, *, after: int) -> Iterator[str]:
    """Yield how the entry by which a sign-off was used, after that entry, does not rest on approvals that were given.

    Who holds which role may have changed since. That they filled all the seats was asked by whoever appended it.
    """
    used, wrong = use_of(sign_off, after=after)
    yield from wrong
    if used is None:
        return
    counted, given = used["data"]["counted"], approvals(voices_of(sign_off))
    if len(counted) < fewest(policy_of(sign_off)) or not set(counted) <= set(given):
        yield f"#{used['seq']} counts more approvals than were given"


def use_of(sign_off: SignOff, *, after: int) -> tuple[Json | None, list[str]]:
    """Return the entry by which a sign-off was used, after that entry, if there is one; and what is wrong with it."""
    entries, wrong = audit_told.told(_about(sign_off).filter(action="sign_off.used", seq__gt=after))
    used = [one for one in entries if one["data"].get("sign_off") == sign_off.pk]
    if len(used) == 1 and used[0]["data"]["digest"] == sign_off.digest:
        return used[0], wrong
    return None, [*wrong, f"{len(used) or 'no'} entries tell that its sign-off was used for this run"]


def state_problems(state: str, entries: list[Json]) -> Iterator[str]:
    """Yield how a row does not stand as the newest entry about it says that tells a state; pure."""
    last = next((one for one in reversed(entries) if one["new"]), None)
    if last is not None and last["new"] != state:
        yield f"it is {state}, but #{last['seq']} says {last['new']}"


def all_problems() -> Iterator[str]:
    """Yield, of every sign-off, what the audit does not bear out; also of those that were removed."""
    told = dict(_opened())
    for sign_off in SignOff.objects.order_by("pk").iterator(chunk_size=CHUNK):
        told.pop(sign_off.pk, None)
        if any(problems(sign_off)):  # or somebody decided meanwhile: in a turn nobody does
            with audit.turn():
                found = list(problems(SignOff.objects.get(pk=sign_off.pk)))
            # whoever verifies is told of each break, and has no need of being told to verify
            yield from (f"{sign_off}: {problem.removesuffix(audit_told.WHAT_TO_DO)}" for problem in found)
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
        except UNREADABLE as error:
            found = [f"it cannot be read: {error!r}"]
        yield from (f"{by}: {problem}" for problem in found)


def delegation_problems(decisions: Iterable[Json], entries: list[Json], told: Mapping[int, int]) -> Iterator[str]:
    """Yield which decisions on another's behalf nobody let anybody make; pure.

    `told` has the number of each decision's entry. What ended before it is known by the order of the entries and not by
    their times: whoever ended it may have come to his turn later than to his time.
    """
    for row in (one for one in decisions if one["on_behalf_of"]):
        at, seq = _moment(row["at"]), told.get(row["decision"], 0)
        mine = [one for one in entries if one["subject"]["id"] == str(row["on_behalf_of"]) and one["seq"] < seq]
        ended = {one["data"]["delegation"] for one in mine if one["action"] == ENDED}
        given = [one for one in mine if one["action"] == GIVEN and one["data"]["delegation"] not in ended]
        if not any(_lets(one, absent=row["on_behalf_of"], deputy=row["user"], at=at) for one in given):
            yield f"decision {row['decision']} by {row['printed_name']}: no entry tells that it was delegated then"


_moment = datetime.fromisoformat
NAMES = {"digest": "digest", "barred": "list of who is barred", "sign_off_sha256": "policy, list, time or subject"}


def _broken(sign_off: SignOff, decisions: list[Decision]) -> Iterator[str]:
    """Yield what is wrong with the chain since the sign-off was opened, or an approval on another's behalf was let.

    What stands outside of it tells nothing.
    """
    mine = re.compile(rf'"sign_off":{sign_off.pk}[,}}]')
    rows = _about(sign_off).filter(action=OPENED).order_by("seq").values_list("seq", "body")
    first = next((seq for seq, body in rows if mine.search(body)), None)
    if first is not None:  # else nothing opened it, which `problems` says
        yield from audit_told.broken_from(min([first, *_let_by(decisions)]))


def _let_by(decisions: list[Decision]) -> Iterator[int]:
    """Yield the numbers of the entries by which somebody let another approve; a delegation lasts 30 days at most."""
    given = _delegations(one.on_behalf_of_id for one in decisions)[0]
    for row in decisions:
        for one in given:
            if one["action"] == GIVEN and _lets(one, absent=row.on_behalf_of_id, deputy=row.user_id, at=row.at):
                yield int(one["seq"])


def _lets(entry: Json, *, absent: int | None, deputy: int, at: datetime) -> bool:
    """Say whether an entry tells that somebody who is absent named that deputy for that moment; pure."""
    told = entry["data"]
    right = entry["actor"]["id"] == absent and told["deputy"] == deputy
    return right and _moment(told["starts_at"]) <= at < _moment(told["ends_at"])


def _rows(sign_off: SignOff) -> QuerySet[Decision]:
    rows: QuerySet[Decision] = sign_off.decisions.select_related("signature").order_by("seq")
    return rows


def _delegations(absent: Iterable[int | None]) -> tuple[list[Json], list[str]]:
    """Return what the audit tells of delegations by these people, and what is wrong with it."""
    return audit_told.told(_of_people(DELEGATIONS, {str(one) for one in absent if one}))


def _about(sign_off: SignOff) -> QuerySet[AuditEntry]:
    about = {"subject_kind": sign_off.subject_kind, "subject_id": sign_off.subject_id}
    return AuditEntry.objects.filter(action__startswith="sign_off.", **about)


def _of_people(actions: Iterable[str], users: Iterable[str]) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(action__in=actions, subject_kind="user", subject_id__in=users)


def _opened() -> Iterator[tuple[int, int]]:
    rows = AuditEntry.objects.filter(action=OPENED).order_by("seq").values_list("seq", "body")
    for seq, body in rows.iterator(chunk_size=CHUNK):
        yield json.loads(body)["data"]["sign_off"], seq
