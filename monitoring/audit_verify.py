"""Verifies the chain in the database; a long one in pieces, by processes: hashing a million entries keeps a core busy.

A piece goes on from an entry whose hash is read beforehand, and the piece before it ends with that very entry; so
each entry is compared with the one before it, as in one pass.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from django.db import connection, connections

from . import anchors, audit, audit_export, signing, sound
from .models import AuditEntry, Checkpoint
from .verify import GENESIS, PROBLEMS_MAX, Result, number_of, sha256, verify_anchors, verify_checkpoints, verify_entries

# Below so many entries a second process costs more than it saves.
WORTH = 20_000
CHUNK = 2000
LINKS = 'SELECT "seq", "body", "prev", "hash" FROM "{table}" WHERE "seq" > %s{to} ORDER BY "seq"'

T = TypeVar("T")
After = tuple[int, str]
Piece = tuple[After, int | None]  # what it goes on from, and its last number; None: to the end
WHOLE: list[Piece] = [((0, GENESIS), None)]
Spread = Callable[[Callable[[Piece], T], list[Piece]], Iterable[T]]


def jobs() -> int:
    """Return how many processes this machine has cores for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pieces(number: int, *, worth: int = WORTH) -> list[Piece]:
    """Return the chain in at most `number` pieces of about equal length; in one where it is short, or cannot be cut."""
    last = AuditEntry.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    number = max(1, min(number, last // worth))
    cuts = [last * part // number for part in range(1, number)]
    found = dict(AuditEntry.objects.filter(seq__in=cuts).values_list("seq", "hash"))
    if AuditEntry.objects.filter(seq__in=cuts).count() != len(cuts) or len(found) != len(cuts):
        return WHOLE  # one of them is missing or doubled: one pass tells of it
    begins = [(0, GENESIS), *((cut, found[cut]) for cut in cuts)]
    return list(zip(begins, [*cuts, None], strict=True))


def in_processes(work: Callable[[Piece], T], chosen: list[Piece]) -> list[T]:
    """Do the work of each piece in a process of its own; call it where no other thread runs and nothing is open."""
    if len(chosen) == 1:
        return [work(chosen[0])]
    connections.close_all()  # a fork must not share one
    with multiprocessing.get_context("fork").Pool(len(chosen)) as pool:
        return pool.map(work, chosen, chunksize=1)


def verify_database(
    known: Mapping[int, str] | None = None,
    *,
    keys: Iterable[str] = (),
    chosen: list[Piece] | None = None,
    spread: Spread[Result] = in_processes,
) -> Result:
    """Verify the chain in the database, its checkpoints, and that head row and anchor file agree with it.

    `known` are heads from outside, `keys` the ids of keys that are known to be right, `chosen` the pieces of the chain.
    """
    inside = list(Checkpoint.objects.order_by("seq"))
    held, trusted = anchors.signed()
    signed = list(dict.fromkeys([*((one.body, one.signature) for one in inside), *held]))
    named = frozenset({*(number_of(text) for text, _ in signed), *(known or {})})
    result = joined(list(spread(partial(_entries, named), chosen or WHOLE)))
    verify_anchors(known or {}, result)
    seq, digest = audit.head()
    if (result.count, result.head) != (seq, digest):
        result.add(f"the head row says #{seq} {digest}, the last entry is #{result.count} {result.head}")
    for one in inside:
        if not _shows_its_text(one):
            result.add(f"checkpoint at #{one.seq}: its columns are not what was signed")
    verify_checkpoints(signed, result, trusted={*trusted, *keys}, check=signing.check)
    return result


def verify_links(chosen: list[Piece], spread: Spread[list[str]] = in_processes) -> list[str]:
    """Verify hashes and links alone, the fastest pass over a chain; return the first break of each piece."""
    return [problem for found in spread(_links, chosen) for problem in found]


def joined(found: list[Result]) -> Result:
    """Return what one pass over the chain would have found, from what was found in its pieces."""
    whole = found[-1]
    for part in reversed(found[:-1]):
        whole.count, whole.erased = whole.count + part.count, [*part.erased, *whole.erased]
        whole.problems = [*part.problems, *whole.problems][:PROBLEMS_MAX]
        whole.found, whole.keys = part.found | whole.found, part.keys | whole.keys
        whole.restores, whole.erasures = [*part.restores, *whole.restores], [*part.erasures, *whole.erasures]
    return whole


def _entries(named: frozenset[int], piece: Piece) -> Result:
    after, to = piece
    entries = AuditEntry.objects.all() if after[0] == 0 else AuditEntry.objects.filter(seq__gt=after[0])
    rows = audit_export.rows(entries if to is None else entries.filter(seq__lte=to))
    return verify_entries(rows, after=after, named=named, examine=sound.problems_of)


def _links(piece: Piece) -> list[str]:
    (expected, before), to = piece
    for seq, body, prev, digest in _read(expected if expected else -1, to):
        expected += 1
        if seq != expected or prev != before or sha256(body) != digest:
            return [f"#{seq}: the chain breaks here"]
        before = digest
    return []


def _read(after: int, to: int | None) -> Iterator[tuple[int, str, str, str]]:
    """Yield what links need, straight from the driver: building objects of them would take most of the time."""
    sql = LINKS.format(table=AuditEntry._meta.db_table, to="" if to is None else ' AND "seq" <= %s')
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, [after, *([] if to is None else [to])])
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def _shows_its_text(one: Checkpoint) -> bool:
    told = json.loads(one.body)
    return bool((one.seq, one.hash, one.key) == (told["seq"], told["hash"], told["key"]))
