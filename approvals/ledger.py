"""The ledger of sign-offs: open, record, revoke, supersede, expire, use; each one transaction with its audit row."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser

from monitoring import audit, unseen
from monitoring.audit import Actor, Subject

from . import bound, moves, people, proven, rules, signatures
from .meaning import signature, words
from .models import Decision, SignOff
from .policy import Policy
from .proof import DOORS, Refused, check_clock, check_digest, check_proof, check_seen
from .reading import barred_of, may_decide, may_open, policy_of, standing
from .rules import Standing
from .signatures import Signed
from .voices import Member

__all__ = [
    "Refused",
    "current_roles",
    "expire_due",
    "may_decide",
    "may_open",
    "may_start",
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
    with audit.turn():
        possible, why = may_open(
            subject.component, policy=policy, barred=barred, unmatched_authors=unmatched_authors, now=now
        )
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
        moves.tell(sign_off, "opened", by=by, new=sign_off.state, data=bound.opening(sign_off), now=now)
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
    signed: Signed | None = None,
    on_behalf_of: int | None = None,
) -> Decision:
    """Record what one person decides over the digest that he saw, and move the sign-off when that settles it.

    1. take the sign-off, so that no other decision passes; 2. check person, proof and digest by what the database says
    now; 3. write the decision, with the passkey's word where there is one; 4. settle the state; 5. audit. Raises
    Refused, and then nothing is written. `kind` is APPROVE, REJECT or REVOKE; an approval may be given `on_behalf_of` a
    person who is out of office and named the user his deputy. The state afterwards is that of `decision.sign_off`.
    """
    with audit.turn():
        taken = moves.take(sign_off)
        old = taken.state
        proved_at = check_proof(user, authenticated_at, by, now)
        check_digest(taken.manifest, taken.digest)
        check_seen(taken, digest_seen, now)
        if kind == Decision.Kind.APPROVE:
            check_clock(taken, now)
        member, absent = _allowed(taken, user, kind, duty, reason, on_behalf_of, now)
        decision = Decision.objects.create(
            sign_off=taken,
            seq=taken.version,
            reason=words(reason),
            method=signatures.method_of(method, signed),
            authenticated_at=proved_at,
            diff_opened=diff_opened,
            at=now,
            **signature(taken, member, kind, duty, absent),
        )
        facts = signatures.keep(decision, signed, now=now) if signed else {}
        _settle(taken, kind, now)
        what, signer, data = decision.get_kind_display(), bound.signed_by(by, decision), _facts(decision) | facts
        moves.tell(taken, what, by=signer, why=decision.reason, old=old, new=taken.state, data=data, now=now)
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


def may_start(sign_off: SignOff, *, by: Actor, now: datetime) -> tuple[Standing, Member]:
    """Return what a sign-off is worth and who starts; raise Refused, naming what is missing, unless he may now."""
    check_digest(sign_off.manifest, sign_off.digest)
    state = standing(sign_off, now=now, decisions=proven.require(sign_off))
    starter = people.member(by.id, sign_off.component, now=now) if by.id is not None and by.via in DOORS else None
    if starter is None:
        raise Refused("A run is started by a signed-in person, not by a token or by the system.")
    allowed, why = rules.may_start(policy_of(sign_off), state, starter, barred_of(sign_off))
    if not allowed:
        raise Refused(f"This cannot start: {why}.")
    return state, starter


def use(sign_off: SignOff, *, by: Actor, now: datetime) -> SignOff:
    """Mark a sign-off used, in the transaction that starts its run; check again all that it rests on.

    `by` is the person who starts. Raises Refused naming what is missing.
    """
    with audit.turn():
        taken = moves.take(sign_off)
        state, starter = may_start(taken, by=by, now=now)
        old = taken.state
        moves.move(taken, SignOff.State.USED, why=f"started by {starter.name}", now=now)
        data = {"counted": list(state.counted)}
        moves.tell(taken, "used", by=by, old=old, new=taken.state, data=data, now=now)
    return taken


def _allowed(
    sign_off: SignOff, user: AbstractUser, kind: str, duty: str, reason: str, on_behalf_of: int | None, now: datetime
) -> tuple[Member, Member | None]:
    """Return who decides, and the absent person whom he stands in for; raise Refused when he may not."""
    if kind not in Decision.VOICES:
        raise Refused(f"{kind!r} is no decision: approve, reject or revoke.")
    if kind == Decision.Kind.REJECT and unseen.seen_length(reason) < unseen.REASON_MIN:
        raise Refused("A rejection needs a reason: say what has to change.")
    if on_behalf_of is not None and kind != Decision.Kind.APPROVE:
        raise Refused("On another's behalf one can only approve; reject, and take back, in your own name.")
    allowed, why = may_decide(sign_off, user, kind=kind, duty=duty, now=now, on_behalf_of=on_behalf_of)
    member = people.member(user.pk, sign_off.component, now=now)
    if not allowed or member is None:
        raise Refused(f"You cannot decide this: {why}.")
    return member, None if on_behalf_of is None else people.member(on_behalf_of, sign_off.component, now=now)


def _facts(decision: Decision) -> dict[str, Any]:
    """Return what the audit tells of a decision besides who gave it and why."""
    absent = {} if decision.on_behalf_of_id is None else {"on_behalf_of": decision.on_behalf_of_id}
    told = {"duty": decision.duty, "method": decision.method, "diff_opened": decision.diff_opened}
    return {"decision": decision.pk, **told, **absent, **bound.facts(decision)}


def _settle(sign_off: SignOff, kind: str, now: datetime) -> None:
    if kind == Decision.Kind.REJECT:
        moves.move(sign_off, SignOff.State.REJECTED, why="rejected", now=now)
        return
    complete = standing(sign_off, now=now).complete
    moves.move(sign_off, SignOff.State.COMPLETE if complete else SignOff.State.OPEN, why="", now=now)


def _close(sign_off: SignOff, state: str, *, why: str, by: Actor, now: datetime) -> bool:
    with audit.turn():
        try:
            taken = moves.take(sign_off)
        except Refused:
            return False
        old = taken.state
        moves.move(taken, state, why=why, now=now)
        moves.tell(taken, state.lower(), by=by, why=why, old=old, new=taken.state, now=now)
    sign_off.refresh_from_db()
    return True
