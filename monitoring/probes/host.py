"""Processor, memory and disk of this machine (Linux); asked only for a target that runs on it.

Processor time is two counters, so that their gate can judge any span without state here.
"""

import ipaddress
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from monitoring.gates import Source

from .measurement import Fetch, Measurement, good, no_data

PROC = Path("/proc")


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Read the figure that `key` names; `path` is the disk's. For a target on another machine there is no data."""
    began = time.monotonic()
    if source.key not in _FIGURES:
        return no_data(f"no host figure {source.key!r}; there is {', '.join(_FIGURES)}", began)
    if not _is_here(base_url):
        return no_data("the target runs on another machine, whose figures cannot be read from here", began)
    try:
        return good(_FIGURES[source.key](source), began)
    except (OSError, ValueError, KeyError) as error:
        return no_data(f"{type(error).__name__}: {error}", began)


def _is_here(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ticks() -> list[float]:
    """Return the seconds of processor time since boot: user nice system idle iowait irq softirq steal."""
    fields = (PROC / "stat").read_text().splitlines()[0].split()[1:9]
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]


def _cpu(source: Source) -> float:
    return sum(_ticks())


def _cpu_busy(source: Source) -> float:
    user, nice, system, _idle, _iowait, irq, softirq, *steal = _ticks()
    return user + nice + system + irq + softirq + sum(steal)


def _memory_percent(source: Source) -> float:
    rows = (line.split(":") for line in (PROC / "meminfo").read_text().splitlines())
    kilobytes = {name: int(rest.split()[0]) for name, rest in rows}
    return 100 * (1 - kilobytes["MemAvailable"] / kilobytes["MemTotal"])


def _disk_percent(source: Source) -> float:
    usage = shutil.disk_usage(source.path or "/")
    return 100 * usage.used / (usage.used + usage.free)  # as df: what only root may use is not counted


_FIGURES: dict[str, Callable[[Source], float]] = {
    "cpu_seconds": _cpu,
    "cpu_busy_seconds": _cpu_busy,
    "memory_percent": _memory_percent,
    "disk_percent": _disk_percent,
}
