"""Record the act of one person who starts what was signed, or passes over a sign-off: who, which words, proved how."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser

from monitoring import audit
from monitoring.audit import Actor

from . import bound, moves, people, signatures
from .meaning import signature, words
from .models import Decision, SignOff
from .proof import Refused, check_proof, check_seen
from .reading import subject_of
from .signatures import Signed


def record(
    sign_off: SignOff,
    *,
    user: AbstractUser,
    kind: str,
    digest_seen: str,
    reason: str = "",
    authenticated_at: datetime | None,
    by: Actor,
    now: datetime,
    method: str = "password",
    signed: Signed | None = None,
) -> Decision:
    """Write the row of an act (START or BYPASS), with the passkey's word where there is one; raise Refused.

    Whether the act is allowed is asked by the caller, in the same transaction; no rule counts these rows.
    """
    with audit.turn():
        taken = moves.take(sign_off)
        proved_at = check_proof(user, authenticated_at, by, now)
        check_seen(taken, digest_seen, now)
        member = people.member(user.pk, taken.component, now=now)
        if member is None or not member.active or kind in Decision.VOICES:
            raise Refused("Only an active person acts, and only to start or to pass over a sign-off.")
        decision = Decision.objects.create(
            sign_off=taken,
            seq=taken.version,
            reason=words(reason),
            method=signatures.method_of(method, signed),
            authenticated_at=proved_at,
            at=now,
            **signature(taken, member, kind, ""),
        )
        facts = bound.facts(decision) | (signatures.keep(decision, signed, now=now) if signed else {})
        data = {"sign_off": taken.pk, "digest": taken.digest, "decision": decision.pk, "method": decision.method}
        audit.append(
            action=f"sign_off.{decision.get_kind_display()}",
            by=bound.signed_by(by, decision),
            subject=subject_of(taken),
            why=decision.reason,
            data=data | facts,
            now=now,
        )
    return decision
