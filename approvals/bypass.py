"""The one way past an incomplete sign-off: closes it as bypassed, in the transaction of the break-glass."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser

from monitoring import audit
from monitoring.audit import Actor

from . import acts, moves
from .models import Decision, SignOff
from .proof import check_digest
from .reading import standing
from .rules import Standing
from .signatures import Signed


def bypass(
    sign_off: SignOff,
    *,
    user: AbstractUser,
    digest_seen: str,
    reason: str,
    authenticated_at: datetime | None,
    by: Actor,
    now: datetime,
    method: str = "password",
    signed: Signed | None = None,
) -> tuple[Decision, Standing]:
    """Record who passes over a live sign-off, and close it; return that row, and what it was worth at that moment.

    The person, the proof and the digest are asked as for a decision; only the quorum is not. Raises Refused.
    """
    with audit.turn():
        decision = acts.record(
            sign_off,
            user=user,
            kind=Decision.Kind.BYPASS,
            digest_seen=digest_seen,
            reason=reason,
            authenticated_at=authenticated_at,
            by=by,
            now=now,
            method=method,
            signed=signed,
        )
        taken = moves.take(sign_off)
        check_digest(taken.manifest, taken.digest)
        stands, old = standing(taken, now=now), taken.state
        moves.move(taken, SignOff.State.BYPASSED, why=f"break-glass: {reason}", now=now)
        facts = {"decision": decision.pk, "counted": list(stands.counted), "missing": list(stands.missing)}
        moves.tell(taken, "passed_over", by=by, why=reason, old=old, new=taken.state, data=facts, now=now)
    return decision, stands
