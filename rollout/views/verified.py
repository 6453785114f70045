"""What stands above an auditor's pages: how far the chain was verified here, and what the last signature covers."""

from datetime import datetime
from typing import Any

from monitoring import signed_head, time_stamps
from monitoring.chain_watch import WATCH


def verified(now: datetime) -> dict[str, Any]:
    """Return the context of `_verified.html`."""
    held, signed = WATCH.look(now), signed_head.look()
    after = held.newest - signed.seq if signed else held.newest
    return {"held": held, "signed": signed, "unsigned": after, "stamped": time_stamps.newest()}
