"""The ledger of sign-offs: open, record, revoke, supersede, expire, use; each one transaction with its audit row."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import F

from monitoring import audit
from monitoring.audit import Actor, Subject

from . import people, rules
from .meaning import signature
from .models import Decision, SignOff
from .policy import Policy
from .proof import DOORS, Refused, check_digest, check_proof, check_seen
from .reading import may_decide, policy_of, standing, subject_of
from .voices import Member

__all__ = [
    "Refused",
    "current_roles",
    "expire_due",
    "may_decide",
    "members",
    "open",
    "record",
    "revoke",
    "standing",
    "supersede",
    "use",
]
current_roles = people.current_roles
members = people.members


def open(
    *,
    digest: str,
    manifest: str,
    policy: Policy,
    subject: Subject,
    barred: Mapping[int, Sequence[str]],
    unmatched_authors: Sequence[Mapping[str, str]],
    by: Actor,
    now: datetime,
) -> SignOff:
    """Open the sign-off over one manifest; raise Refused when its quorum could never be reached."""
    check_digest(manifest, digest)
    unmatched = [f"{author.get('name', '')} <{author.get('email', '')}>".strip() for author in unmatched_authors]
    with transaction.atomic():
        possible, why = rules.may_open(policy, members(subject.component), barred=barred, unmatched=unmatched)
        if not possible:
            raise Refused(f"This sign-off cannot be opened: {why}.")
        if SignOff.objects.filter(subject_kind=subject.kind, subject_id=subject.id, state__in=SignOff.LIVE).exists():
            raise Refused(f"{subject.label} has an open sign-off already; supersede that first.")
        sign_off = SignOff.objects.create(
            digest=digest,
            manifest=manifest,
            policy=policy.to_dict(),
            barred={str(user_id): list(duties) for user_id, duties in barred.items()},
            unmatched_authors=[dict(author) for author in unmatched_authors],
            opened_at=now,
            expires_at=now + timedelta(seconds=policy.expires_s),
            **subject.columns(),
        )
        _tell(sign_off, "opened", by=by, new=sign_off.state, now=now)
    return sign_off


def record(
    sign_off: SignOff,
    *,
    user: AbstractUser,
    kind: str,
    duty: str,
    digest_seen: str,
    reason: str,
    authenticated_at: datetime | None,
    by: Actor,
    diff_opened: bool,
    now: datetime,
    method: str = "password",
) -> Decision:
    """Record what one person decides over the digest that he saw, and move the sign-off when that settles it.

    1. take the sign-off, so that no other decision passes; 2. check person, proof and digest by what the database says
    now; 3. write the decision; 4. settle the state; 5. audit. Raises Refused, and then nothing is written.
    `kind` is APPROVE, REJECT or REVOKE; the state afterwards is that of `decision.sign_off`.
    """
    with transaction.atomic():
        taken = _take(sign_off)
        old = taken.state
        proved_at = check_proof(user, authenticated_at, by, now)
        check_digest(taken.manifest, taken.digest)
        check_seen(taken, digest_seen, now)
        member = _allowed(taken, user, kind, duty, reason)
        decision = Decision.objects.create(
            sign_off=taken,
            seq=taken.version,
            reason=reason.strip(),
            method=method,
            authenticated_at=proved_at,
            diff_opened=diff_opened,
            at=now,
            **signature(taken, member, kind, duty),
        )
        _settle(taken, kind, now)
        data = {"decision": decision.pk, "duty": duty, "method": method, "diff_opened": diff_opened}
        _tell(
            taken, decision.get_kind_display(), by=by, why=decision.reason, old=old, new=taken.state, data=data, now=now
        )
    return decision


def revoke(
    sign_off: SignOff, *, user: AbstractUser, reason: str, authenticated_at: datetime | None, by: Actor, now: datetime
) -> Decision:
    """Take back one's own approval, until the start; raise Refused when there is none."""
    return record(
        sign_off,
        user=user,
        kind=Decision.Kind.REVOKE,
        duty="",
        digest_seen=sign_off.digest,
        reason=reason,
        authenticated_at=authenticated_at,
        by=by,
        diff_opened=False,
        now=now,
    )


def supersede(sign_off: SignOff, *, why: str, by: Actor, now: datetime) -> bool:
    """Close a live sign-off whose manifest no longer holds; return False when it was closed already."""
    return _close(sign_off, SignOff.State.SUPERSEDED, why=why, by=by, now=now)


def expire_due(now: datetime) -> list[SignOff]:
    """Close every live sign-off whose time is over, and return them."""
    due = SignOff.objects.filter(state__in=SignOff.LIVE, expires_at__lte=now).order_by("pk")
    why = "not started in time"
    return [one for one in due if _close(one, SignOff.State.EXPIRED, why=why, by=audit.SYSTEM, now=now)]


def use(sign_off: SignOff, *, by: Actor, now: datetime) -> SignOff:
    """Mark a sign-off used, in the transaction that starts its run; check again all that it rests on.

    `by` is the person who starts. Raises Refused naming what is missing.
    """
    with transaction.atomic():
        taken = _take(sign_off)
        check_digest(taken.manifest, taken.digest)
        state = standing(taken, now=now)
        starter = people.member(by.id, taken.component) if by.id is not None and by.via in DOORS else None
        if starter is None:
            raise Refused("A run is started by a signed-in person, not by a token or by the system.")
        allowed, why = rules.may_start(policy_of(taken), state, starter, state.last_approver)
        if not allowed:
            raise Refused(f"This cannot start: {why}.")
        old = taken.state
        _move(taken, SignOff.State.USED, why=f"started by {starter.name}", now=now)
        data = {"counted": list(state.counted)}
        _tell(taken, "used", by=by, old=old, new=taken.state, data=data, now=now)
    return taken


def _take(sign_off: SignOff) -> SignOff:
    """Raise the version of a live sign-off and return it as it stands now.

    On PostgreSQL the update holds the row until the commit, so that what is read next is the newest; on SQLite the
    transaction is IMMEDIATE already.
    """
    won = SignOff.objects.filter(pk=sign_off.pk, state__in=SignOff.LIVE).update(version=F("version") + 1)
    now = SignOff.objects.get(pk=sign_off.pk)
    if not won:
        raise Refused(
            f"This sign-off is {now.get_state_display()}: {now.closed_why or 'nothing can be decided on it'}."
        )
    return now


def _allowed(sign_off: SignOff, user: AbstractUser, kind: str, duty: str, reason: str) -> Member:
    if kind not in Decision.Kind.values:
        raise Refused(f"{kind!r} is no decision: approve, reject or revoke.")
    if kind == Decision.Kind.REJECT and not reason.strip():
        raise Refused("A rejection needs a reason: say what has to change.")
    allowed, why = may_decide(sign_off, user, kind=kind, duty=duty)
    member = people.member(user.pk, sign_off.component)
    if not allowed or member is None:
        raise Refused(f"You cannot decide this: {why}.")
    return member


def _settle(sign_off: SignOff, kind: str, now: datetime) -> None:
    if kind == Decision.Kind.REJECT:
        _move(sign_off, SignOff.State.REJECTED, why="rejected", now=now)
        return
    complete = standing(sign_off, now=now).complete
    _move(sign_off, SignOff.State.COMPLETE if complete else SignOff.State.OPEN, why="", now=now)


def _close(sign_off: SignOff, state: str, *, why: str, by: Actor, now: datetime) -> bool:
    with transaction.atomic():
        try:
            taken = _take(sign_off)
        except Refused:
            return False
        old = taken.state
        _move(taken, state, why=why, now=now)
        _tell(taken, state.lower(), by=by, why=why, old=old, new=taken.state, now=now)
    sign_off.refresh_from_db()
    return True


def _move(sign_off: SignOff, state: str, *, why: str, now: datetime) -> None:
    closed = None if state in SignOff.LIVE else now
    SignOff.objects.filter(pk=sign_off.pk).update(state=state, closed_at=closed, closed_why=why[:300])
    sign_off.refresh_from_db()


def _tell(
    sign_off: SignOff,
    what: str,
    *,
    by: Actor,
    now: datetime,
    why: str = "",
    old: str = "",
    new: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    facts = {"sign_off": sign_off.pk, "digest": sign_off.digest, **(data or {})}
    subject = subject_of(sign_off)
    audit.append(action=f"sign_off.{what}", by=by, subject=subject, why=why, old=old, new=new, data=facts, now=now)
