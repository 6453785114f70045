"""How each state looks: its word, its icon shape and its tone; never colour alone."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Look:
    """The word, icon and tone of one state."""

    word: str
    icon: str
    tone: str


def _look(word: str, icon: str, tone: str) -> Look:
    return Look(word=word, icon=icon, tone=tone)


LOOKS: dict[str, Look] = {
    # rollouts
    "DRAFT": _look("Draft", "pencil-line", "neutral"),
    "VALIDATING": _look("Validating", "flask-conical", "info"),
    "WAITING": _look("Waiting for sign-off", "signature", "wait"),
    "APPROVED": _look("Approved", "stamp", "ok"),
    "QUEUED": _look("Queued", "list-end", "neutral"),
    "RUNNING": _look("Running", "play", "info"),
    "WATCHING": _look("Watching", "radar", "info"),
    "SUCCEEDED": _look("Succeeded", "circle-check", "ok"),
    "REJECTED": _look("Rejected", "circle-x", "bad"),
    "EXPIRED": _look("Expired", "timer-off", "neutral"),
    "SUPERSEDED": _look("Superseded", "layers-2", "neutral"),
    "CANCELLED": _look("Cancelled", "ban", "neutral"),
    "FAILED": _look("Failed", "octagon-x", "bad"),
    "ROLLING_BACK": _look("Rolling back", "rotate-ccw", "warn"),
    "ROLLED_BACK": _look("Rolled back", "undo-2", "warn"),
    "ROLLED_BACK_UNHEALTHY": _look("Rolled back, unhealthy", "heart-crack", "bad"),
    "NOT_RESTORED": _look("Not restored", "triangle-alert", "crit"),
    "UNKNOWN": _look("Unknown", "circle-question-mark", "crit"),
    "NEEDS_DECISION": _look("Needs a decision", "scale", "wait"),
    # runs and steps, beyond the words above
    "PENDING": _look("Pending", "circle-dashed", "neutral"),
    "SKIPPED": _look("Skipped", "skip-forward", "neutral"),
    "ABORTED": _look("Aborted", "ban", "warn"),
    # verdicts of gates
    "PASSING": _look("Passing", "shield-check", "ok"),
    "FAILING": _look("Failing", "shield-x", "bad"),
    "NO_DATA": _look("No data", "unplug", "warn"),
    "UNDECIDED": _look("Undecided", "scale", "neutral"),
    # incidents
    "P0": _look("P0", "siren", "crit"),
    "P1": _look("P1", "chevrons-up", "bad"),
    "P2": _look("P2", "chevron-up", "warn"),
    "OPEN": _look("Open", "circle-dot", "bad"),
    "ACKNOWLEDGED": _look("Acknowledged", "eye", "warn"),
    "CLOSED": _look("Closed", "square-check-big", "neutral"),
    "RESOLVED": _look("Resolved", "square-check-big", "ok"),
    # decisions over a digest
    "APPROVE": _look("Approved", "check", "ok"),
    "REJECT": _look("Rejected", "x", "bad"),
    "REVOKE": _look("Revoked", "undo-2", "warn"),
    "REVOKED": _look("Revoked", "undo-2", "warn"),
    # changes of people and of configurations
    "CONFIRMED": _look("Confirmed", "check", "ok"),
    "REFUSED": _look("Refused", "x", "bad"),
    "WITHDRAWN": _look("Withdrawn", "undo-2", "neutral"),
    "OVERTAKEN": _look("Overtaken", "layers-2", "neutral"),
    "COMPLETE": _look("Complete", "stamp", "ok"),
    "VOID": _look("Void", "ban", "neutral"),
    "BYPASSED": _look("Bypassed", "siren", "crit"),
    # what two others say of a break-glass afterwards
    "AGREE": _look("Agrees", "check", "ok"),
    "OBJECT": _look("Objects", "x", "bad"),
    "REVIEW_DUE": _look("Review due", "siren", "crit"),
    # targets, evidence and notices
    "LIVE": _look("Live", "activity", "ok"),
    "LOCKED": _look("Locked", "lock", "bad"),
    "FROZEN": _look("Frozen", "snowflake", "info"),
    "PRESENT": _look("Present", "check", "ok"),
    "MISSING": _look("Missing", "x", "bad"),
    "VERIFIED": _look("Verified", "shield-check", "ok"),
    "UNCHECKED": _look("Not checked", "triangle-alert", "warn"),
    "NOT_CONFIGURED": _look("Not configured", "circle-slash", "neutral"),
    "DELIVERED": _look("Delivered", "send", "ok"),
    "RETRYING": _look("Retrying", "refresh-cw", "warn"),
    "GAVE_UP": _look("Gave up", "octagon-x", "bad"),
}


def key_of(state: Any) -> str:
    """Normalise a state (enum member, value or display text) to a key of LOOKS."""
    return str(getattr(state, "value", state)).strip().upper().replace(" ", "_").replace("-", "_")


def look_of(state: Any) -> Look:
    """Return how a state looks; a state nobody drew is still shown, neutral, in its own words."""
    key = key_of(state)
    return LOOKS.get(key) or _look(key.replace("_", " ").capitalize() or "—", "circle", "neutral")
