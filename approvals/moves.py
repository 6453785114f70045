"""How a sign-off changes: taken, moved, told; for whoever decides over one, inside the transaction that does."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import F

from monitoring import audit
from monitoring.audit import Actor

from .models import SignOff
from .proof import Refused
from .reading import subject_of


def take(sign_off: SignOff) -> SignOff:
    """Raise the version of a live sign-off and return it as it stands now; raise Refused for a closed one.

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


def move(sign_off: SignOff, state: str, *, why: str, now: datetime) -> None:
    """Write the state of a sign-off that was taken, and read it again."""
    closed = None if state in SignOff.LIVE else now
    SignOff.objects.filter(pk=sign_off.pk).update(state=state, closed_at=closed, closed_why=why[:300])
    sign_off.refresh_from_db()


def tell(
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
    """Append the entry `sign_off.what` to the audit."""
    facts = {"sign_off": sign_off.pk, "digest": sign_off.digest, **(data or {})}
    subject = subject_of(sign_off)
    audit.append(action=f"sign_off.{what}", by=by, subject=subject, why=why, old=old, new=new, data=facts, now=now)
