"""One number out of Prometheus' text format: `key` is a metric, with label values if need be; matching series add up.

A counter is returned as it stands. What it gained is the gate's arithmetic (`ratio_over`), over the stored samples: so
no state hides here, and a window can be judged again from its rows.
"""

import math
import re
import time

from prometheus_client.parser import text_string_to_metric_families

from monitoring.gates import Source

from .measurement import Fetch, Measurement, get, good, no_data

_SELECTOR = re.compile(r"\s*([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s*")
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"([^"]*)"\s*(?:,|$)')


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Read the sum of the series that match `key`; none, NaN or no answer is no data."""
    began = time.monotonic()
    try:
        name, labels = _selector(source.key)
        text = get(source, base_url, fetch).decode("utf-8")
        values = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
    except Exception as error:
        return no_data(str(error) or type(error).__name__, began)
    if not values:
        return no_data(f"{source.path} has no series {source.key}", began)
    total = math.fsum(values) if all(map(math.isfinite, values)) else math.nan
    return good(total, began) if math.isfinite(total) else no_data(f"{source.key} is not a finite number", began)


def _selector(key: str) -> tuple[str, dict[str, str]]:
    match = _SELECTOR.fullmatch(key)
    inner = (match[2] or "").strip() if match else ""
    labels = dict(_LABEL.findall(inner))
    if not match or _LABEL.sub("", inner):
        raise ValueError(f'{key!r} is no selector; expected a name, or name{{label="value"}}')
    return match[1], labels
