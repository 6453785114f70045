"""Has the newest checkpoint stamped by an authority for time (RFC 3161), where one is named: now and then, from a task.

A checkpoint says itself when it was made, by our clock and our key. Its stamp says by somebody else's that it was there
no later: whoever gets hold of both the key and the database cannot write what came before anew.
"""

from datetime import datetime, timedelta

from django.conf import settings

from . import anchoring, anchors, checkpoints, http, rfc3161, time_stamps, unsigned
from .rfc3161 import StampError

TIMEOUT_S = 20
LIMIT_BYTES = 16_384  # with its certificates a stamp takes some 6,000; the anchor file holds its sha256
HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


def is_due(now: datetime) -> bool:
    """Say whether the newest checkpoint should be stamped now: it has no stamp, and the last one is old enough."""
    # on both sides: after a clock that was set back the next one must not wait until it is as late again
    if not settings.GR_TSA_URL or time_stamps.kept_between(now - _every(), now + _every()):
        return False
    newest = checkpoints.newest()
    return newest is not None and newest.seq > anchors.stamped_to()


def ask(now: datetime) -> str:
    """Have the newest checkpoint stamped, and return what came of it, in a sentence; raise StampError.

    Outside of a transaction: it waits for the authority, `TIMEOUT_S` seconds at most.
    """
    if not settings.GR_TSA_URL:
        raise StampError("No authority is named: set GR_TSA_URL and GR_TSA_CA_FILE (docs/audit-format.md).")
    trusted, one = rfc3161.certificates(settings.GR_TSA_CA_FILE), checkpoints.newest()
    if one is None:
        raise StampError("Nothing was signed yet: there is no checkpoint to be stamped. Is pulse running?")
    if one.seq <= anchors.stamped_to():
        return f"The checkpoint at #{one.seq} has its time stamp already, and nothing was signed since."
    if anchoring.sound(one) is None:
        raise StampError(f"The checkpoint at #{one.seq} is not what was signed: look into it with `audit verify`.")
    query = rfc3161.query(one.body)
    answer = _fetch(query.der)
    try:
        stamp = rfc3161.check(answer, one.body, trusted=trusted, nonce=query.nonce)
    except StampError as error:
        raise StampError(f"{http.origin(settings.GR_TSA_URL)} was asked to stamp #{one.seq}, but {error}.")
    time_stamps.keep(one.seq, answer, now=now)
    return f"The checkpoint at #{one.seq} was stamped {stamp}."


def late(*, now: datetime) -> str:
    """Return a sentence when a checkpoint has waited for its stamp three times as long as it should; else empty."""
    if not settings.GR_TSA_URL:
        return ""
    waiting = unsigned.numbered().filter(seq__gt=anchors.stamped_to(), at__lt=now - 3 * _every())
    first = waiting.order_by("seq").first()
    return f"#{first.seq} has waited for its time stamp since {first.at:%Y-%m-%d %H:%M} UTC" if first else ""


def _every() -> timedelta:
    return timedelta(seconds=settings.GR_TSA_SECONDS)


def _fetch(der: bytes) -> bytes:
    url, ask_in = settings.GR_TSA_URL, {"timeout_s": TIMEOUT_S, "limit_bytes": LIMIT_BYTES}
    try:
        answer = http.fetch(url, method="POST", headers=HEADERS, body=der, allow=[url], **ask_in)
    except http.HttpError as error:
        raise StampError(f"No time stamp: {error}.")
    if answer.status != 200:
        raise StampError(f"No time stamp: {http.origin(url)} answered {answer.status}.")
    return answer.body
