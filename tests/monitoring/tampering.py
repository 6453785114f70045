"""Somebody who owns the database and edits history: every kind of it, drawn from a seed, as cleverly as he can.

After his edit he may mend what he can compute: the entry's hash, the links after it, the checkpoints with a key of his
own or with a retired one that he stole. He cannot sign with the key in force, and he cannot reach what left the house.
"""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from monitoring import audit_export, canonical, checkpoints, signing, sound, verify
from monitoring.signing import Signer

from .effects import NOW

MINE = Signer(Ed25519PrivateKey.from_private_bytes(b"attacker".ljust(32)))
COLUMNS = sorted(set(verify.SHOWN) - {"at", "actor_id"})


def as_read(row: list[Any]) -> audit_export.Read:
    """Return a row of the verifier as the driver would have read it."""
    columns = row[4]
    return columns["at"], *row[:4], *(columns[name] for name in audit_export.OTHERS)


@dataclass
class History:
    """What stands in a database: entries as [seq, body, prev, hash, columns], and checkpoints as (text, signature)."""

    rows: list[list[Any]]
    signed: list[verify.Signed]
    stolen: Signer  # the private key that was retired
    log: list[str] = field(default_factory=list)

    def copy(self) -> "History":
        """Return one that can be edited."""
        rows = [[*row[:4], dict(row[4])] for row in self.rows]
        return History(rows, list(self.signed), self.stolen)

    def problems(self, outside: verify.Signed) -> list[str]:
        """Return what the verifier finds, given one checkpoint that left the house."""
        signed = list(dict.fromkeys([*self.signed, outside]))
        named = [verify.number_of(text) for text, _ in signed]
        result = sound.verify(map(as_read, self.rows), named=named)
        verify.verify_checkpoints(signed, result, check=signing.check)
        return result.problems

    def write(self, at: int, **told: Any) -> None:
        """Say something else in the body of an entry."""
        body = {**json.loads(self.rows[at][1]), **told}
        self.rows[at][1] = canonical.dumps(body)

    def mend(self, since: int, dice: random.Random) -> None:
        """Compute anew what can be: one hash, or all links from there on, and then the checkpoints as well."""
        how = dice.choice(["nothing", "hash", "links", "unsigned", "signed", "stolen"])
        self.log.append(f"mended: {how}")
        if how == "hash" and since < len(self.rows):
            self.rows[since][3] = verify.sha256(self.rows[since][1])
        if how in ("links", "unsigned", "signed", "stolen"):
            self.link(since)
        if how in ("unsigned", "signed", "stolen"):
            self.sign(since, None if how == "unsigned" else MINE if how == "signed" else self.stolen)

    def link(self, since: int) -> None:
        """Number and chain everything anew from an entry on."""
        for at in range(since, len(self.rows)):
            prev = self.rows[at - 1][3] if at else verify.GENESIS
            self.rows[at][0], self.rows[at][2] = at + 1, prev
            self.write(at, seq=at + 1, prev=prev)
            self.rows[at][3] = verify.sha256(self.rows[at][1])

    def sign(self, since: int, key: Signer | None) -> None:
        """Leave out the checkpoints from an entry on, or sign them with another key."""
        gone = [one for one in self.signed if verify.number_of(one[0]) > since]
        self.signed = [one for one in self.signed if one not in gone]
        for seq in (verify.number_of(text) for text, _ in gone if key):
            if key and seq <= len(self.rows):
                text = checkpoints.text_of(key, seq, self.rows[seq - 1][3], NOW)
                self.signed.append((text, key.sign(text)))


def body(house: History, at: int, dice: random.Random) -> None:
    """Say another reason, or another state, in the hashed body; perhaps in the columns as well."""
    key = dice.choice(["why", "new", "old", "action"])
    house.write(at, **{key: "changed"})
    if dice.random() < 0.7:
        house.rows[at][4][key] = "changed"
    house.mend(at, dice)


def column(house: History, at: int, dice: random.Random) -> None:
    """Show something else than the body says."""
    name = dice.choice([*COLUMNS, "actor_name", "person", "at", "actor_id"])
    house.rows[at][4][name] = {"actor_id": 99, "at": "2026-11-23T12:00:00.000001+00:00"}.get(name, "changed")


def delete(house: History, at: int, dice: random.Random) -> None:
    """Remove an entry."""
    del house.rows[at]
    house.mend(at, dice)


def insert(house: History, at: int, dice: random.Random) -> None:
    """Put in an entry that never was."""
    house.rows.insert(at, copy.deepcopy(house.rows[dice.randrange(len(house.rows))]))
    house.write(at, why="never was")
    house.rows[at][4]["why"] = "never was"
    house.mend(at, dice)


def reorder(house: History, at: int, dice: random.Random) -> None:
    """Exchange an entry with another one, and perhaps their numbers."""
    other = (at + dice.randrange(1, len(house.rows))) % len(house.rows)
    low = min(at, other)
    house.rows[at], house.rows[other] = house.rows[other], house.rows[at]
    if dice.random() < 0.5:
        house.rows[at][0], house.rows[other][0] = house.rows[other][0], house.rows[at][0]
    house.mend(low, dice)


def duplicate(house: History, at: int, dice: random.Random) -> None:
    """Let an entry be there twice, the second time before the first."""
    place = dice.randrange(max(1, at))
    house.rows.insert(place, copy.deepcopy(house.rows[at]))
    house.mend(place, dice)


def cut(house: History, at: int, dice: random.Random) -> None:
    """Cut the tail off, with its checkpoints or without."""
    del house.rows[at:]
    if dice.random() < 0.7:
        house.sign(at, None)


def rewrite(house: History, at: int, dice: random.Random) -> None:
    """Compute the whole chain anew, and sign it."""
    house.write(at, why="rewritten")
    house.rows[at][4]["why"] = "rewritten"
    house.link(0)
    house.sign(0, dice.choice([None, MINE, house.stolen]))


def forge(house: History, at: int, dice: random.Random) -> None:
    """Change, move or sign a checkpoint with a wrong key; the entries stay as they are."""
    place = dice.randrange(len(house.signed))
    text, signature = house.signed[place]
    told, how = json.loads(text), dice.choice(["hash", "moved", "bit", "mine", "stolen", "next", "swapped"])
    house.log.append(how)
    if how == "bit":
        bit = dice.randrange(512)
        raw = bytearray(bytes.fromhex(signature))
        raw[bit // 8] ^= 1 << bit % 8
        house.signed[place] = (text, raw.hex())
        return
    if how == "swapped":
        house.signed[place] = (text, house.signed[place - 1][1])
        return
    seq = dice.choice([n for n in range(1, len(house.rows)) if n != told["seq"]]) if how == "moved" else told["seq"]
    key = house.stolen if how == "stolen" and told["key"] != house.stolen.key else MINE
    changed = {"hash": {"hash": "ab" * 32}, "moved": {"seq": seq}, "next": {"next": MINE.public_key}}.get(how, {})
    if how in ("hash", "moved", "next"):
        house.signed[place] = (canonical.dumps({**told, **changed}), signature)
        return
    forged = checkpoints.text_of(key, seq, house.rows[seq - 1][3], NOW)
    house.signed[place] = (forged, key.sign(forged))


def restore(house: History, at: int, dice: random.Random) -> None:
    """Put an old state of the whole database back, and perhaps live on in it."""
    after = copy.deepcopy(house.rows[at : at + dice.randrange(0, len(house.rows))])
    del house.rows[at:]
    house.sign(at, None)
    for number, row in enumerate(after):
        house.rows.append(row)
        house.write(at + number, why=f"another life {number}")
        row[4]["why"] = f"another life {number}"
    house.link(at)


KINDS: dict[str, Callable[[History, int, random.Random], None]] = {
    one.__name__: one for one in (body, column, delete, insert, reorder, duplicate, cut, rewrite, forge, restore)
}
