"""Lets the audit go on as it is: over what the anchor file knows otherwise, and over breaks of the chain."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from . import anchoring, anchors, audit, audit_told, chain_watch, raw_rows, unseen
from .audit import Actor
from .chain_watch import Held
from .models import AuditEntry
from .signing import SigningError
from .verify import GENESIS, PROBLEMS_MAX

SHOWN = 5
LONGEST = 500  # characters of a break's words that an entry tells


def beyond() -> str:
    """Return which rows stand beyond the head, where nothing was appended, and what to do; empty when none do.

    No entry can be appended so that the chain goes on over them: that takes somebody at the database.
    """
    seq = audit.head()[0]
    rows = AuditEntry.objects.filter(seq__gt=seq)
    with raw_rows.any_text("backslashreplace"):
        found = list(rows.order_by("seq").values_list(raw_rows.kept("seq"), flat=True)[:SHOWN])
    if not found:
        return ""
    named = ", ".join(f"#{unseen.in_codes(str(one)):.40}" for one in found)
    more = f" and {rows.count() - len(found)} more" if rows.count() > len(found) else ""
    return (
        f"Entries stand beyond the head of the audit, #{seq}, where none was ever appended: {named}{more}. Remove these"
        " rows from the database, or put its head row right if that is what was edited; then look again with "
        "`manage.py audit verify`."
    )


def accept(*, by: Actor, why: str, now: datetime, held: Held | None = None) -> str:
    """Let the database as it is be the right one from here on; audited. Return over what, in words; or nothing.

    What the anchor file knows beyond it is given up: that stands in both, and whoever verifies is told. What does not
    hold stays as it is: the chain is only gone on with. `held`: what a whole pass found before the turn.
    """
    with audit.turn():
        back, held = anchors.given_up(), chain_watch.passed(held)
        unsigned = [] if "given_up" in back else _unsigned()
        if held.ok and not unsigned and "given_up" not in back:
            return ""
        held = _gone_on_with(held, by=by, why=why, now=now)
        broken = list(dict.fromkeys([*held.breaks.told, *unsigned]))
        count = max(len(broken), held.breaks.count - held.breaks.accepted)
        data: dict[str, Any] = dict(back)
        if broken:
            data["broken"] = [unseen.in_codes(one)[:LONGEST] for one in broken[:PROBLEMS_MAX]]
            data |= {"breaks": count, "breaks_sha256": held.breaks.sha256}
        action = chain_watch.ACCEPTED if broken else "audit.set_back_accepted"
        audit.append(action=action, by=by, subject=anchors.ABOUT, why=why, data=data, now=now)
        anchors.note_accepted(int(back["back_to"]), why=why, now=now, set_back="given_up" in back)
    return _in_words(data)


def _unsigned() -> list[str]:
    """Return for what pulse signs no more."""
    known = anchors.last() or anchors.Point(0, GENESIS)
    return audit_told.broken_since(known.seq, known.hash or GENESIS)


def _gone_on_with(held: Held, *, by: Actor, why: str, now: datetime) -> Held:
    """Append what comes before the entry that accepts, and return what the pass finds up to there.

    Where the last entry is not the one that the head row says, an entry comes next at which that shows: the one that
    accepts could not tell of itself.
    """
    if anchors.last() is None:
        anchors.begin(now)  # it was lost; else it begins with what is accepted here
        with suppress(SigningError, *audit_told.BROKEN):
            anchoring.keep_up()  # with what was signed before: the file goes on only behind this
    held = chain_watch.passed(held)
    seq, digest = audit.head()
    if (held.seq, held.hash) != (seq, digest):
        data = {"head": seq, "head_hash": digest, "last": held.seq, "last_hash": held.hash}
        audit.append(action="audit.gone_on", by=by, subject=anchors.ABOUT, why=why, data=data, now=now)
        held = chain_watch.passed(held)
    return held


def _in_words(data: dict[str, Any]) -> str:
    told = []
    if "given_up" in data:
        told.append(f"what the anchor file knows after #{data['back_to']}, up to #{data['given_up']}, is given up")
    if broken := data.get("broken"):
        more = f"; and {data['breaks'] - SHOWN} more" if data["breaks"] > SHOWN else ""
        breaks = f"{data['breaks']} breaks" if data["breaks"] > 1 else "a break"
        told.append(
            f"the chain goes on over {breaks}: {'; '.join(broken[:SHOWN])}{more}. `audit verify` goes on to tell of "
            "that, and what was signed off over it is to be signed off anew"
        )
    return ", and ".join(told)
