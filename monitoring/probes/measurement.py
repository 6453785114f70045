"""What every probe gets and gives: one shape, `read(source, base_url, fetch) -> Measurement`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from monitoring.gates import Source

ERROR_LIMIT = 300


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one read gave; a check gives 1 (well) or 0, a number gives its value, and `None` is no data."""

    value: float | None
    ok: bool
    error: str = ""
    elapsed_ms: int = 0


class Fetch(Protocol):
    """One GET with a deadline in seconds; raises on anything but an answer."""

    def __call__(self, url: str, *, timeout_s: float) -> tuple[int, bytes]:
        """Return status and body."""


Probe = Callable[[Source, str, Fetch], Measurement]


def good(value: float, began: float) -> Measurement:
    """Return a number that was read; `began` is of time.monotonic()."""
    return Measurement(value=value, ok=True, elapsed_ms=_since_ms(began))


def no_data(why: str, began: float) -> Measurement:
    """Return that there is no number, and why."""
    return Measurement(value=None, ok=False, error=why[:ERROR_LIMIT], elapsed_ms=_since_ms(began))


def checked(failure: str, began: float) -> Measurement:
    """Return a check's result: well when `failure` is empty."""
    value = 0.0 if failure else 1.0
    return Measurement(value=value, ok=not failure, error=failure[:ERROR_LIMIT], elapsed_ms=_since_ms(began))


def get(source: Source, base_url: str, fetch: Fetch) -> bytes:
    """Return the body of a 200 answer at the source's path; raise LookupError with the reason on any other."""
    status, body = fetch(f"{base_url.rstrip('/')}{source.path}", timeout_s=float(source.timeout_s))
    if status != 200:
        raise LookupError(f"{source.path} answered {status}, expected 200")
    return body


def _since_ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
