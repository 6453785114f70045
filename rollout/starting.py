"""Start an approved rollout, with a row of who started it, in which words, and how he proved who he is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from django.contrib.auth.models import User

from approvals import acts
from approvals.models import Decision, SignOff
from approvals.signatures import Proof
from monitoring import audit
from monitoring.audit import Actor
from rollout import actions
from rollout.actions import Refused
from rollout.models import Rollout, Run


def start(
    rollout: Rollout,
    *,
    user: User,
    digest_seen: str,
    proof: Proof,
    by: Actor,
    now: datetime,
    within: AbstractContextManager[object] | None = None,
) -> Run:
    """Queue the deploy run, and record the act in the same transaction; raise Refused, and then neither stands."""
    if proof.at is None:
        raise Refused("Prove who you are again: a start needs it within five minutes.")

    @contextmanager
    def signed() -> Iterator[None]:
        with within or audit.turn():
            yield
            _record(rollout.sign_off, user, digest_seen, proof, by, now)

    return actions.start(rollout, user=user, by=by, now=now, within=signed())


def _record(sign_off: SignOff | None, user: User, digest_seen: str, proof: Proof, by: Actor, now: datetime) -> None:
    if sign_off is None:
        raise Refused("There is no sign-off over what would be started.")
    acts.record(
        sign_off,
        user=user,
        kind=Decision.Kind.START,
        digest_seen=digest_seen,
        authenticated_at=proof.at,
        method=proof.method,
        signed=proof.signed,
        by=by,
        now=now,
    )
