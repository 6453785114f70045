"""Health check over HTTP: well is an answer 200 within the time-out."""

import time

from monitoring.gates import Source

from .measurement import Fetch, Measurement, checked, get


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Ask once; no answer, a late one or another status is a failed check."""
    began = time.monotonic()
    try:
        get(source, base_url, fetch)
    except Exception as error:
        return checked(str(error) or type(error).__name__, began)
    return checked("", began)
