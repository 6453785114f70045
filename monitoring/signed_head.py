"""The newest checkpoint as a page shows it: which entry it signs, by which key, and whether the signature holds."""

import json
from dataclasses import dataclass
from datetime import datetime

from . import checkpoints, signing
from .models import AuditEntry, Checkpoint
from .signing import key_id


@dataclass(frozen=True, kw_only=True)
class SignedHead:
    """One checkpoint, looked at; `holds` says that its key signed just this entry."""

    seq: int
    at: datetime
    key: str
    holds: bool


def look() -> SignedHead | None:
    """Return the newest checkpoint with its signature verified, in two queries; None when nothing was signed yet."""
    one = checkpoints.newest()
    return SignedHead(seq=one.seq, at=one.at, key=one.key, holds=_holds(one)) if one else None


def _holds(one: Checkpoint) -> bool:
    try:
        told = json.loads(one.body)
        key, said = bytes.fromhex(told["public_key"]), (told["seq"], told["hash"], told["key"])
        known = key_id(told["public_key"]) == told["key"]
        signed = signing.check(key, bytes.fromhex(one.signature), one.body.encode())
    except (ValueError, KeyError, TypeError):
        return False
    entry = AuditEntry.objects.filter(seq=one.seq).values_list("hash", flat=True).first()
    return known and signed and said == (one.seq, entry, one.key)
