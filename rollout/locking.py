"""A person locks a target, so that nothing starts on it, and unlocks it; a rollback locks it by itself."""

from datetime import datetime

from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import Actor
from rollout import access, transitions
from rollout.models import Target
from rollout.permits import in_person, require, require_reason


def lock(target: Target, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Keep everybody from starting anything on a target, with a written reason."""
    in_person(by, user)
    require(user, target, access.STOPPERS)
    require_reason(why)
    set_lock(target, locked=True, why=why, by=by, now=now)


def unlock(target: Target, *, user: User, why: str, by: Actor, now: datetime) -> None:
    """Let rollouts start on a target again; the reason says why it is safe."""
    in_person(by, user)
    require(user, target, access.STOPPERS)
    require_reason(why)
    set_lock(target, locked=False, why=why, by=by, now=now)


def set_lock(target: Target, *, locked: bool, why: str, by: Actor, now: datetime) -> None:
    """Lock or unlock a target; raise Refused when it stands so already."""
    values = {
        "lock_reason": why if locked else "",
        "locked_by": by.name if locked else "",
        "locked_at": now if locked else None,
    }
    with audit.turn():
        if Target.objects.filter(pk=target.pk, locked=not locked).update(locked=locked, **values) != 1:
            raise Refused(f"{target} is {'locked' if locked else 'not locked'} already.")
        action = "target.locked" if locked else "target.unlocked"
        audit.append(action=action, by=by, subject=transitions.subject_of(target), why=why, now=now)
    target.refresh_from_db()
