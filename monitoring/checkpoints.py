"""Signs heads of the audit's chain, so that whoever owns the database alone cannot write it anew unseen."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Q

from . import anchoring, anchors, audit, audit_told, canonical, signing, storage, unsigned
from .audit import SYSTEM, Subject
from .models import AuditEntry, Checkpoint
from .signing import Signer, SigningError, key_id
from .verify import GENESIS, KIND

EVERY = 100  # entries
KEY = Subject(kind="audit", id="1", label="audit key")

log = logging.getLogger(__name__)


class Notary:
    """What pulse does for the audit; it remembers only what spares it a question, so a restart costs nothing.

    Entries whose action begins with one of `prompt` are signed at once, the others every 100 entries or 60 seconds.
    """

    def __init__(self, prompt: Sequence[str]) -> None:
        self.prompt = prompt
        self.signed_to = -1
        self.signer: Signer | None = None
        self.said = ""

    def look(self, now: datetime) -> None:
        """Sign when it is time, and keep the anchor file up; what cannot be signed is logged, once a reason."""
        try:
            if next_file().exists():
                self._rotate(now)
            seq = audit.head()[0]
            if seq != self.signed_to and self._is_due(seq, now):
                self._sign(now)
            self.said = ""
        # rows that anybody may have written: nothing is signed then, and pulse goes on
        except (SigningError, OSError, *audit_told.BROKEN) as error:
            if str(error) != self.said:
                log.error("no checkpoint: %s: %s", type(error).__name__, error)
            self.said = str(error)

    def _is_due(self, seq: int, now: datetime) -> bool:
        last = newest()
        if last is None or self.signed_to < 0:
            return True
        if seq < last.seq:
            return True  # another pulse was faster since we looked, or entries are missing: signing tells which
        if seq == last.seq:
            self.signed_to = last.seq  # another pulse was faster
            anchoring.keep_up()
            return False
        if seq - last.seq >= EVERY or abs(now - last.at) >= unsigned.AT_LATEST:
            return True
        at_once = Q()
        for action in self.prompt:
            at_once |= Q(action__startswith=action)
        return bool(self.prompt) and AuditEntry.objects.filter(at_once, seq__gt=last.seq).exists()

    def _sign(self, now: datetime) -> None:
        _require_anchored()
        force = in_force()
        if self.signer is None or self.signer.key != force:
            self.signer = _signer(force)
        anchors.begin(now)
        made = sign(self.signer, now=now)
        last = made or newest()
        self.signed_to = last.seq if last else 0
        anchoring.keep_up()

    def _rotate(self, now: datetime) -> None:
        _require_anchored()
        force = in_force()
        following, current = signing.load(next_file()), signing.load(key_file())
        if following is not None and current is not None and force == current.key:
            rotate(current, following, now=now)
        _finish_rotation(in_force())
        self.signer = None


def _require_anchored() -> None:
    """Raise SigningError for a database that was set back: a second history must not get signatures of our key."""
    why = anchors.refusal()
    if why:
        raise SigningError(why)


def sign(signer: Signer, *, now: datetime) -> Checkpoint | None:
    """Sign the head and return the checkpoint; None when it is signed already.

    Raises SigningError for a wrong key, and for a head to which the chain does not lead: whoever owns the database
    must not get our signature under entries of his own.
    """
    with audit.turn():
        seq, digest = audit.head()
        last = newest()
        if wrong := unsigned.beyond(last.seq if last else 0, seq):
            raise SigningError(f"Nothing is signed: {wrong}.")
        if seq == 0 or (last is not None and last.seq == seq):
            return None
        _require_in_force(signer, last)
        _require_whole(signer, last)
        return _checkpoint(signer, seq, digest, now)


def rotate(old: Signer, new: Signer, *, now: datetime) -> None:
    """Announce a new key by an entry and by a checkpoint of the old one over it, in one transaction."""
    with audit.turn():
        last = newest()
        _require_in_force(old, last)
        _require_whole(old, last)
        data = {"key": new.key, "public_key": new.public_key, "retired": old.key}
        entry = audit.append(action="audit.key_announced", by=SYSTEM, subject=KEY, data=data, now=now)
        _checkpoint(old, entry.seq, entry.hash, now, following=new.public_key)


def in_force() -> str:
    """Return the id of the key that has to sign next; empty before the first checkpoint."""
    return _in_force(newest())


def newest() -> Checkpoint | None:
    """Return the newest checkpoint that has a number; `unsigned` tells of the others."""
    return unsigned.numbered().order_by("-seq").first()


def key_file() -> Path:
    """Return where the key stands."""
    return Path(settings.GR_AUDIT_KEY_FILE)


def next_file() -> Path:
    """Return where a key waits that is to follow; pulse puts it in force."""
    return key_file().with_name(f"{key_file().name}.next")


def text_of(signer: Signer, seq: int, digest: str, now: datetime, following: str = "") -> str:
    """Return the canonical text of a checkpoint (docs/audit-format.md)."""
    return canonical.dumps(
        {
            "kind": KIND,
            "version": 1,
            "seq": seq,
            "hash": digest,
            "at": audit.stamp(now),
            "key": signer.key,
            "public_key": signer.public_key,
            "next": following,
        }
    )


def _checkpoint(signer: Signer, seq: int, digest: str, now: datetime, following: str = "") -> Checkpoint:
    text = text_of(signer, seq, digest, now, following)
    return Checkpoint.objects.create(
        seq=seq, hash=digest, at=now, key=signer.key, body=text, signature=signer.sign(text)
    )


def _require_in_force(signer: Signer, last: Checkpoint | None) -> None:
    force = _in_force(last)
    if force not in ("", signer.key):
        raise SigningError(_wrong_key(signer.key, force))


def _require_whole(signer: Signer, last: Checkpoint | None) -> None:
    """Raise SigningError where the chain does not lead to the head from what is known without the database's word.

    That is the newest checkpoint, if this very key signed it, or what the anchor file knows; else all is looked at.
    """
    told = anchoring.sound(last) if last else None
    known = anchors.last()
    after = (known.seq, known.hash) if known and known.seq else (0, GENESIS)
    if last is not None and told is not None and told["key"] == signer.key and last.seq > after[0]:
        after = last.seq, last.hash
    if broken := audit_told.broken_since(*after):
        raise SigningError(
            f"The audit does not hold, and is not signed any further: {broken[0]}. Look into it with "
            "`manage.py audit verify`; if it has to go on like that, say why with `manage.py audit accept`."
        )


def _in_force(last: Checkpoint | None) -> str:
    lost = AuditEntry.objects.filter(action="audit.key_lost", seq__gt=last.seq if last else 0).order_by("-seq").first()
    if lost is not None:
        return str(json.loads(lost.body)["data"]["key"])
    if last is None:
        return ""
    following = str(json.loads(last.body)["next"])
    return key_id(following) if following else last.key


def _signer(force: str) -> Signer:
    """Return the key to sign with; a new one is made only while nothing was ever signed."""
    _finish_rotation(force)
    found = signing.load(key_file())
    if found is None and not force:
        found = signing.make(key_file())
    if found is None or force not in ("", found.key):
        raise SigningError(_wrong_key(found.key if found else "", force))
    return found


def _finish_rotation(force: str) -> None:
    """Put the following key in its place, if it is in force already: the old private key is gone with that."""
    following = signing.load(next_file())
    if following is not None and following.key == force:
        next_file().replace(key_file())
        storage.sync_directory(key_file().parent)


def _wrong_key(found: str, force: str) -> str:
    here = f"{key_file()} holds the key {found[:12]}" if found else f"there is no key at {key_file()}"
    return (
        f"The checkpoints are signed by the key {force[:12]}, but {here}. Put the right file back; "
        "if it is lost, say so with `manage.py audit key_lost`."
    )
