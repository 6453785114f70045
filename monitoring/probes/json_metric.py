"""One number out of a JSON answer; `key` names it, with dots into nested objects."""

import json
import math
import time
from typing import Any

from monitoring.gates import Source

from .measurement import Fetch, Measurement, get, good, no_data


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Read the number; null, a missing key, anything else than a number or no answer is no data."""
    began = time.monotonic()
    try:
        found = _find(json.loads(get(source, base_url, fetch)), source.key)
    except Exception as error:
        return no_data(str(error) or type(error).__name__, began)
    if found is None:
        return no_data(f"{source.key} is null: nothing to measure yet", began)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        return no_data(f"{source.key} is {str(found)[:40]!r}, expected a number", began)
    return good(float(found), began)


def _find(document: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(document, dict):
            raise LookupError(f"{key}: expected an object around {part!r}")
        if part not in document:
            raise LookupError(f"{key}: no {part!r}, there is {', '.join(document) or 'nothing'}")
        document = document[part]
    return document
