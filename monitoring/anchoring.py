"""Keeps the anchor file up: which checkpoints of the database come into it, and nothing that a stranger put there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import anchors, audit_told, signing, unsigned
from .anchors import Point
from .audit_told import BROKEN
from .models import AuditEntry, Checkpoint
from .signing import key_id
from .verify import GENESIS, number_of

LOST = "audit.key_lost"


@dataclass
class Force:
    """Ids of keys: of the one in force (empty while none is known), and of those that replace a lost one."""

    key: str = ""
    noted: frozenset[str] = frozenset()

    def allows(self, key: str) -> bool:
        """Say whether a key may sign what comes next."""
        return self.key in ("", key) or key in self.noted

    def after(self, told: Mapping[str, Any]) -> "Force":
        """Return what is in force after a checkpoint; what replaced a lost key stays until it has signed."""
        following = key_id(told["next"]) if told["next"] else told["key"]
        return Force(following, frozenset() if told["key"] in self.noted else self.noted)


def keep_up() -> int:
    """Append every checkpoint that the file has not yet, and return how many.

    Raises SigningError at one that is not by the key in force over an entry of the chain: somebody put it there, and
    what the file would know from it, it would know from him.
    """
    if anchors.refusal():
        return 0  # what is there is the only witness: nothing of this database is written behind it
    known = anchors.last() or Point(0, GENESIS)
    # what has no number comes after all others: it must not keep them out
    missing = list(unsigned.numbered().filter(seq__gt=known.seq).order_by("seq"))
    force = in_force() if missing else Force()
    lines = []
    for one in missing:
        told = sound(one)
        if told is not None and not force.allows(told["key"]) and told["key"] in _replaced(known):
            force.noted |= {told["key"]}
            lines.append(anchors.key_line(told["key"], why="as the audit tells", now=one.at))
        if told is None or not force.allows(told["key"]):
            raise signing.SigningError(
                f"The checkpoint at #{one.seq} is not by the key in force over this chain: somebody put it there."
            )
        force = force.after(told)
        lines.append(anchors.line_of(one))
    if lines:
        anchors.append(*lines)
    return len(lines)


def sound(one: Checkpoint) -> Mapping[str, Any] | None:
    """Return what a checkpoint says, if it is signed, says what its columns show, and its entry stands."""
    try:
        told: Mapping[str, Any] = json.loads(one.body)
        right = signing.check(bytes.fromhex(told["public_key"]), bytes.fromhex(one.signature), one.body.encode())
        same = (told["seq"], told["hash"], told["key"]) == (one.seq, one.hash, one.key)
        stands = AuditEntry.objects.filter(seq=one.seq, hash=one.hash).exists()
        return told if right and same and stands and key_id(told["public_key"]) == one.key else None
    except BROKEN:
        return None  # somebody wrote into it


def behind(*, before: datetime) -> str:
    """Return a sentence when the file lacks a checkpoint from before a moment; empty when it has them all."""
    known = anchors.last()
    late = Checkpoint.objects.filter(seq__gt=known.seq if known else 0, at__lt=before).order_by("seq").first()
    if late is None or anchors.refusal():  # of which more is said elsewhere
        return ""
    return (
        f"{anchors.path().name} lacks the checkpoint at #{late.seq} of {late.at:%Y-%m-%d %H:%M} UTC; the log says why"
    )


def in_force() -> Force:
    """Return the keys that may sign what the file lacks, as it knows them."""
    noted: set[str] = set()
    upto: int | None = None  # what was given up later is no word about keys
    for told in anchors.newest_first():
        if "key" in told:
            noted.add(str(told["key"]["key"]))
        elif "accepted" in told:
            upto = min(int(told["accepted"]["back_to"]), upto if upto is not None else 1 << 63)
        elif "checkpoint" in told and (upto is None or number_of(told["checkpoint"]) <= upto):
            return Force(noted=frozenset(noted)).after(json.loads(told["checkpoint"]))
    return Force(noted=frozenset(noted))


def _replaced(known: Point) -> frozenset[str]:
    """Return the keys of which the chain tells that they replace a lost one; none when it does not hold.

    An anchor file that was lost with its notes learns of them so, and one whose note a crash kept from it.
    """
    entries, wrong = audit_told.told(AuditEntry.objects.filter(action=LOST, seq__gt=known.seq))
    if not entries or wrong or audit_told.broken_since(known.seq, known.hash or GENESIS):
        return frozenset()
    return frozenset(str(one["data"]["key"]) for one in entries)
