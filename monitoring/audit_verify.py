"""Verifies the chain in the database; a long one in pieces, by processes: hashing a million entries keeps a core busy.

A piece goes on from an entry whose hash is read beforehand, and the piece before it ends with that very entry; so
each entry is compared with the one before it, as in one pass.
"""

import gc
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

from django.db import connection, connections

from . import anchors, audit, audit_export, raw_rows, signing, sound
from .audit_times import Times
from .models import AuditEntry, Checkpoint
from .verify import GENESIS, Result, Signed, number_of, verify_anchors, verify_checkpoints

# Below so many entries a second process costs more than it saves.
WORTH = 20_000
CHUNK = 500  # rows: so many stay in a core's cache until they are hashed
LINKS = 'SELECT "seq", {body}, "prev", "hash" FROM "{table}" WHERE "seq" > %s{to} ORDER BY "seq"'

S = TypeVar("S")
T = TypeVar("T")
After = tuple[int, str]
Piece = tuple[After, int | None]  # what it goes on from, and its last number; None: to the end
WHOLE: list[Piece] = [((0, GENESIS), None)]
Spread = Callable[[Callable[[Any], Any], list[Any]], Iterable[Any]]


def jobs() -> int:
    """Return how many processes this machine has cores for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pieces(number: int, *, worth: int = WORTH) -> list[Piece]:
    """Return the chain in at most `number` pieces of about equal length; in one where it is short, or cannot be cut."""
    last = AuditEntry.objects.order_by("-seq").values_list(raw_rows.number("seq"), flat=True).first() or 0
    number = max(1, min(number, last // worth))
    cuts = [last * part // number for part in range(1, number)]
    found = dict(AuditEntry.objects.filter(seq__in=cuts).values_list("seq", "hash"))
    if AuditEntry.objects.filter(seq__in=cuts).count() != len(cuts) or len(found) != len(cuts):
        return WHOLE  # one of them is missing or doubled: one pass tells of it
    begins = [(0, GENESIS), *((cut, found[cut]) for cut in cuts)]
    return list(zip(begins, [*cuts, None], strict=True))


def in_processes(work: Callable[[S], T], chosen: list[S]) -> list[T]:
    """Do the work of each part in a process of its own; call it where no other thread runs and nothing is open."""
    if len(chosen) == 1:
        return [work(chosen[0])]
    connections.close_all()  # a fork must not share one
    # they make tuples by the million and no cycles, so the collector would only look
    with multiprocessing.get_context("fork").Pool(len(chosen), initializer=gc.disable) as pool:
        return pool.map(work, chosen, chunksize=1)


def verify_database(
    known: Mapping[int, str] | None = None,
    *,
    keys: Iterable[str] = (),
    chosen: list[Piece] | None = None,
    spread: Spread = in_processes,
) -> Result:
    """Verify the chain in the database, its checkpoints, and that head row and anchor file agree with it.

    `known` are heads from outside, `keys` the ids of keys that are known to be right, `chosen` the pieces of the chain.
    """
    with raw_rows.any_text():
        inside = list(Checkpoint.objects.defer("at").order_by("seq"))
    held, trusted = anchors.signed()
    signed = list(dict.fromkeys([*((one.body, one.signature) for one in inside), *held]))
    named = frozenset({*(number_of(text) for text, _ in signed), *(known or {})})
    chosen = chosen or WHOLE
    result, times = joined(spread(partial(_entries, named), chosen))
    wrong = _against_head(result, times)
    if wrong and _is_newer(result.last):  # somebody appended meanwhile: in a turn nobody does
        with audit.turn():
            result, times = joined([(result, times), _entries(named, ((result.last, result.head), None))])
            wrong = _against_head(result, times)
    verify_anchors(known or {}, result)
    result.add(*wrong)
    for one in inside:
        if not _shows_its_text(one):
            result.add(f"checkpoint at #{one.seq}: its columns are not what was signed")
    parts = [signed[first :: len(chosen)] for first in range(len(chosen))]
    right = frozenset().union(*spread(_rightly_signed, parts))
    verify_checkpoints(signed, result, trusted={*trusted, *keys}, check=lambda *one: one in right)
    return result


def verify_links(chosen: list[Piece], spread: Spread = in_processes) -> list[str]:
    """Verify hashes and links alone, the fastest pass over a chain; return the first break of each piece."""
    return [problem for found in spread(_links, chosen) for problem in found]


def joined(found: Iterable[tuple[Result, Times]]) -> tuple[Result, Times]:
    """Return what one pass over the chain would have found, from what was found in its pieces."""
    whole, times = Result(), Times()
    for part, told in found:
        sound.put(part, into=whole)
        times.follow(told)
    return whole, times


def _against_head(result: Result, times: Times) -> list[str]:
    """Return how the head row, as it is now, tells something else than the entries."""
    with raw_rows.any_text("backslashreplace"):
        seq, digest = audit.head()
    if (result.count, result.head) != (seq, digest):
        return [f"the head row says #{seq} {digest}, the last entry is #{result.count} {result.head}"]
    # of entries that do not hold no time is known
    return [problem] if result.ok and (problem := times.problem()) else []


def _is_newer(last: int) -> bool:
    """Say whether the head row, and an entry, are newer than the last entry that was read."""
    with raw_rows.any_text("backslashreplace"):
        seq = audit.head()[0]
    # SQLite keeps there whatever somebody put
    return type(seq) is int and 0 <= last < seq and AuditEntry.objects.filter(seq__gt=last).exists()


def _entries(named: frozenset[int], piece: Piece) -> tuple[Result, Times]:
    after, to = piece
    entries = AuditEntry.objects.all() if after[0] == 0 else AuditEntry.objects.filter(seq__gt=after[0])
    chosen = entries if to is None else entries.filter(seq__lte=to)
    times = Times()
    return sound.verify(audit_export.read(chosen), after=after, named=named, times=times), times


def _rightly_signed(signed: list[Signed]) -> frozenset[tuple[bytes, ...]]:
    """Return public key, signature and message of each checkpoint whose signature is right."""
    right = set()

    def check(*parts: bytes) -> bool:
        if signing.check(*parts):
            right.add(parts)
        return True

    verify_checkpoints(signed, Result(), check=check)
    return frozenset(right)


def _links(piece: Piece) -> list[str]:
    (last, before), to = piece
    body = 'CAST("body" AS BLOB)' if connection.vendor == "sqlite" else '"body"'  # to be hashed, not to be read
    sql = LINKS.format(body=body, table=AuditEntry._meta.db_table, to="" if to is None else ' AND "seq" <= %s')
    # straight from the driver: building objects of them would take most of the time
    for rows in raw_rows.fetch(sql, [last if last else -1, *([] if to is None else [to])], CHUNK):
        seqs, bodies, prevs, hashes = zip(*rows, strict=True)
        made = tuple([sha256(body if type(body) is bytes else body.encode()).hexdigest() for body in bodies])
        wanted = tuple(range(last + 1, last + 1 + len(rows))), (before, *made[:-1]), made
        if (seqs, prevs, hashes) != wanted:  # whole columns at once: a million times, each comparison counts
            pairs = zip(zip(seqs, prevs, hashes, strict=True), zip(*wanted, strict=True), strict=True)
            broken = next(told[0] for told, right in pairs if told != right)
            return [f"#{broken}: the chain breaks here"]
        last, before = seqs[-1], hashes[-1]
    return []


def _shows_its_text(one: Checkpoint) -> bool:
    try:
        told = json.loads(one.body)
        return bool((one.seq, one.hash, one.key) == (told["seq"], told["hash"], told["key"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
