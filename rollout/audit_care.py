"""What an admin may do for the audit, each with a reason that stands in it; returns what to do next, in a sentence."""

from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.ledger import Refused
from monitoring import acceptance, anchors, audit, chain_watch, checkpoints, signing
from monitoring.audit import Actor
from monitoring.signing import SigningError
from rollout import access
from rollout.permits import in_person, require_reason


def accept(*, user: User, why: str, by: Actor, now: datetime) -> str:
    """Let the database as it is be the right one, though the anchor file knows another, or the chain is broken."""
    _require_admin(user, by, why)
    held = chain_watch.passed()  # before the turn, in which all others wait
    with audit.turn():
        if rows := acceptance.beyond():
            raise Refused(rows)
        told = acceptance.accept(by=by, why=why, now=now, held=held)
    if not told:
        raise Refused("The audit holds and agrees with the anchor file: there is nothing to accept.")
    return f"Accepted: {told}. Deploys may begin again."


def rotate_key(*, user: User, why: str, by: Actor, now: datetime) -> str:
    """Make the key that is to follow; pulse lets the old one sign it."""
    _require_admin(user, by, why)
    if not checkpoints.in_force():
        raise Refused("Nothing was signed yet: there is no key to rotate. Is pulse running?")
    if checkpoints.next_file().exists():
        raise Refused(f"A key waits already in {checkpoints.next_file()}: pulse puts it in force within a second.")
    key = _make(checkpoints.next_file()).key
    _tell("audit.key_rotation_asked", {"key": key}, why=why, by=by, now=now)
    return f"Key {key} follows as soon as pulse has signed it with the old one."


def key_lost(*, user: User, why: str, by: Actor, now: datetime) -> str:
    """Make a new key, which nobody signs, in the place of one that is lost."""
    _require_admin(user, by, why)
    old = checkpoints.in_force()
    if not old:
        raise Refused("Nothing was signed yet: there is no key that could be lost.")
    if checkpoints.key_file().exists():
        raise Refused(f"There is a key at {checkpoints.key_file()}: rotate it, or move it away if it is a wrong one.")
    made = _make(checkpoints.key_file())
    # the file first: an entry without it would ask for a key that nobody trusts
    anchors.note_key(made.key, why=why, now=now)
    data = {"key": made.key, "public_key": made.public_key, "lost": old}
    _tell("audit.key_lost", data, why=why, by=by, now=now)
    return f"Key {made.key} signs from here on. Tell the auditors: no signature of the old one vouches for it."


def erase_person(*, user: User, of: str, why: str, by: Actor, now: datetime) -> str:
    """Empty name, address and session of a person in entries whose time of keeping is over; no younger one."""
    _require_admin(user, by, why)
    found = User.objects.filter(username=of).values_list("pk", flat=True).first()
    if found is None and not of.isdecimal():
        raise Refused(f"There is no account {of!r}; give the number of one that was removed.")
    before = now - timedelta(days=settings.GR_AUDIT_KEEP_DAYS)
    count = audit.erase_person(found or int(of), before=before, by=by, why=why, now=now)
    return f"{count} entries from before {before:%Y-%m-%d} name {of} no more. Younger ones are kept as they are."


def _require_admin(user: User, by: Actor, why: str) -> None:
    in_person(by, user)
    if not user.groups.filter(name=access.ADMIN).exists():
        raise PermissionDenied(f"This is for {access.ADMIN}.")
    require_reason(why)


def _make(path: Path) -> signing.Signer:
    try:
        return signing.make(path)
    except (SigningError, OSError) as error:
        raise Refused(f"No key was made: {error}")


def _tell(action: str, data: dict[str, str], *, why: str, by: Actor, now: datetime) -> None:
    with audit.turn():
        audit.append(action=action, by=by, subject=checkpoints.KEY, why=why, data=data, now=now)
