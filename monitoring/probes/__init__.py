"""Sources of numbers, one file each, entered in PROBES; and one poll of many sources at once."""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from monitoring.gate_rules import Reading
from monitoring.gates import Source

from . import command, golden, host, http, json_metric, log, prometheus
from .measurement import Fetch, Measurement, Probe

__all__ = ["PROBES", "Fetch", "Measurement", "read_all"]

PROBES: dict[str, Probe] = {
    "http": http.read,
    "json_metric": json_metric.read,
    "prometheus": prometheus.read,
    "host": host.read,
    "command": command.read,
    "log": log.read,
    "golden": golden.read,
}
GRACE_S = 1.0


def read_all(
    sources: Sequence[Source], base_url: str, *, fetch: Fetch, now: float, max_workers: int = 8
) -> list[Reading]:
    """Read every source once, at the same time; return a reading each, in order, whatever happens.

    `now` (epoch seconds) stamps them all, so that counters which are read together can be compared. Every probe keeps
    its own time-out; one that does not is left behind and reported.
    """
    if not sources:
        return []
    workers = min(max_workers, len(sources))
    rounds = math.ceil(len(sources) / workers)
    deadline_s = rounds * max(float(source.timeout_s) for source in sources) + GRACE_S
    pool = ThreadPoolExecutor(workers, thread_name_prefix="probe")
    try:
        pending = [pool.submit(PROBES[source.kind], source, base_url, fetch) for source in sources]
        wait(pending, timeout=deadline_s)
        return [_reading(source, future, now, deadline_s) for source, future in zip(sources, pending, strict=True)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _reading(source: Source, future: Future[Measurement], now: float, deadline_s: float) -> Reading:
    if not future.done():
        found = Measurement(value=None, ok=False, error=f"no answer within {deadline_s:g} s", elapsed_ms=0)
    elif error := future.exception():
        found = Measurement(value=None, ok=False, error=f"{type(error).__name__}: {error}"[:300])
    else:
        found = future.result()
    return Reading(
        source=source.name, at=now, value=found.value, ok=found.ok, error=found.error, elapsed_ms=found.elapsed_ms
    )
