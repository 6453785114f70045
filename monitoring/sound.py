"""Verifies entries of the audit the fast way, for a million of them: the body is made again from its columns.

`verify.py` travels alone and stays short, so it reads every body; only what is not byte for byte as it should be, or
tells of keys and erasures, is handed to it here.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from json import decoder
from json.encoder import encode_basestring as quoted  # what json.dumps makes of a str with ensure_ascii=False

from . import audit_export
from .audit_times import Times
from .breaks import Breaks
from .verify import GENESIS, NOTED, Result, reader, verify_entries

TEXT = r'"[ !#-\[\]-\U0010ffff]*"'  # without quotes, backslashes and controls; faster said so than as what it is not
# personal data as `audit.append` writes it; a name with a quote in it is left to the slow way
PERSON = re.compile(
    rf'\{{"address":{TEXT},"name":({TEXT})(?:,"on_behalf":{TEXT})?,"os_user":{TEXT}(?:,"printed":{TEXT})?'
    rf',"salt":{TEXT},"session":{TEXT}\}}'
)
SHALLOW = 1000  # in so many characters nothing is nested so deeply that only one of the two ways could read it
shaped, string_at, value_at = PERSON.fullmatch, decoder.scanstring, reader.scan_once  # type: ignore[attr-defined]


def verify(
    entries: Iterable[audit_export.Read],
    *,
    after: tuple[int, str] = (0, GENESIS),
    named: Iterable[int] = (),
    times: Times | None = None,
    breaks: Breaks | None = None,
) -> Result:
    """Return what `verify_entries` finds in these rows; `times` learns when those were that hold, `breaks` all else."""
    wanted, result, see = frozenset(named), Result(last=after[0], head=after[1]), (times or Times()).see
    seq, prev, count = *after, 0
    for one in entries:
        if one[1] == seq + 1 and one[3] == prev and is_plain(*one):
            seq, prev, count = one[1], one[4], count + 1
            if seq in wanted:
                result.found[seq] = prev
            see(one[0])
        else:
            part = verify_entries([audit_export.row_of(one)], after=(seq, prev), named=wanted)
            put(part, into=result)
            if part.ok:
                see(str(one[0]))
            elif breaks is not None:
                breaks.see(prev, one[4], part.problems)
            seq, prev = result.last, result.head
    result.count, result.last, result.head = result.count + count, seq, prev
    return result


def put(part: Result, *, into: Result) -> None:
    """Add what was found in the entries that come next."""
    into.count, into.last, into.head = into.count + part.count, part.last, part.head
    into.add(*part.problems)
    into.found |= part.found
    into.keys |= part.keys
    into.erased += part.erased
    into.erasures += part.erasures
    into.restores += part.restores


def is_plain(
    at: str, seq: int, body: str, prev: str, row_hash: str, action: str, why: str, old: str, new: str,
    actor_id: int | None, via: str, kind: str, subject: str, label: str, component: str, environment: str,
    actor_name: str, person: str,
) -> bool:  # fmt: skip
    """Say whether an entry is, byte for byte, what its columns say, and nothing that the verifier has to note.

    The body is made in three pieces. What stands between them has no column, so it is read: a string (request id) and
    an object (data), each of which ends where the next piece begins; so no key is there twice.
    """
    try:
        told = shaped(person)
        if told is None or action.startswith(NOTED) or sha256(body.encode()).hexdigest() != row_hash:
            return False
        first = (
            f'{{"action":{quoted(action)},"actor":{{"id":{"null" if actor_id is None else actor_id},'
            f'"person":"{sha256(person.encode()).hexdigest()}","request_id":"'
        )
        second = f',"via":{quoted(via)}}},"at":{quoted(at)},"data":{{'
        third = (
            f',"new":{quoted(new)},"old":{quoted(old)},"prev":{quoted(prev)},"seq":{seq},"subject":{{"component":'
            f'{quoted(component)},"environment":{quoted(environment)},"id":{quoted(subject)},'
            f'"kind":{quoted(kind)},"label":{quoted(label)}}},"version":1,"why":{quoted(why)}}}'
        )
        after_id = string_at(body, len(first))[1]
        data = after_id + len(second) - 1
        end = value_at(body, data)[1]
        return (
            type(seq) is int
            and (type(actor_id) is int or actor_id is None)
            and body.startswith(first)
            and body.startswith(second, after_id)
            and body.endswith(third)
            and end == len(body) - len(third)
            and end - data < SHALLOW
            and told[1] == quoted(actor_name)
        )
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, StopIteration):
        return False  # of a kind that no entry of ours has, no JSON, or no text in UTF-8
