"""What the service says about itself, computed from the database: right however many processes serve."""

import math
import sqlite3

from dhash.settings import LIVE

BUCKETS_MS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)
PRUNE_EVERY = 256


def percentile(values: list[float], percent: float) -> float | None:
    """Return the nearest-rank percentile; None without values."""
    if not values:
        return None
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def record(connection: sqlite3.Connection, *, ok: bool, hash_ms: float, now: float, keep_s: float) -> None:
    """Record one extraction, inside the caller's transaction; forget observations older than keep_s now and then."""
    cursor = connection.execute("INSERT INTO observations (at, ok, hash_ms) VALUES (?, ?, ?)", (now, ok, hash_ms))
    bucket = next((str(bound) for bound in BUCKETS_MS if hash_ms <= bound), "+Inf")
    _add(connection, "images_total", 1)
    _add(connection, f"bucket_{bucket}", 1)
    _add(connection, "hash_ms_sum", hash_ms)
    if not ok:
        _add(connection, "failures_total", 1)
    if (cursor.lastrowid or 0) % PRUNE_EVERY == 0:
        connection.execute("DELETE FROM observations WHERE at < ?", (now - keep_s,))


def extraction_failures(connection: sqlite3.Connection, *, now: float, span_s: float) -> dict[str, object]:
    """Return the share of extractions that failed in the span, in percent; null when there was none."""
    row = connection.execute(
        "SELECT COUNT(*) AS images, COALESCE(SUM(1 - ok), 0) AS failures FROM observations WHERE at > ?",
        (now - span_s,),
    ).fetchone()
    rate = round(100 * row["failures"] / row["images"], 3) if row["images"] else None
    return {"failure_rate_percent": rate, "images": row["images"], "failures": row["failures"], "span_s": span_s}


def hash_performance(connection: sqlite3.Connection, *, now: float, span_s: float) -> dict[str, object]:
    """Return percentiles of the time that extracting and hashing took in the span, in ms; null without traffic."""
    rows = connection.execute("SELECT hash_ms FROM observations WHERE at > ?", (now - span_s,))
    times = [row["hash_ms"] for row in rows]
    return {
        "p95_time_ms": _rounded(percentile(times, 95)),
        "p50_time_ms": _rounded(percentile(times, 50)),
        "images": len(times),
        "span_s": span_s,
    }


def queue_status(connection: sqlite3.Connection, *, now: float) -> dict[str, object]:
    """Return how many unsure matches wait for a person, and the age of the oldest in seconds."""
    row = connection.execute(
        "SELECT COUNT(*) AS waiting, MIN(queue.created_at) AS oldest FROM low_confidence_queue AS queue"
        " JOIN images ON images.id = queue.image_id WHERE images.source = ?",
        (LIVE,),
    ).fetchone()
    age = None if row["oldest"] is None else round(max(0.0, now - row["oldest"]), 3)
    return {"low_confidence_queue_length": row["waiting"], "oldest_age_s": age}


def prometheus(connection: sqlite3.Connection, *, version: str, environment: str, now: float) -> str:
    """Return the counters and the latency histogram in Prometheus' text format."""
    totals = {row["name"]: row["value"] for row in connection.execute("SELECT name, value FROM counters")}
    labels = f'environment="{environment}",version="{version}"'
    waiting = queue_status(connection, now=now)["low_confidence_queue_length"]
    lines = [
        *_metric("dhash_info", "gauge", "Which release serves.", f"{{{labels}}} 1"),
        *_metric("dhash_images_total", "counter", "Images posted.", f" {totals.get('images_total', 0):.0f}"),
        *_metric(
            "dhash_extraction_failures_total",
            "counter",
            "Images that could not be extracted.",
            f" {totals.get('failures_total', 0):.0f}",
        ),
        *_metric("dhash_low_confidence_queue_length", "gauge", "Unsure matches that wait.", f" {waiting}"),
        *_histogram(totals),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, sample: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name}{sample}"]


def _histogram(totals: dict[str, float]) -> list[str]:
    name = "dhash_hash_duration_seconds"
    lines = [f"# HELP {name} Time to extract and hash one image.", f"# TYPE {name} histogram"]
    seen = 0.0
    for bound in BUCKETS_MS:
        seen += totals.get(f"bucket_{bound}", 0)
        lines.append(f'{name}_bucket{{le="{bound / 1000:g}"}} {seen:.0f}')
    seen += totals.get("bucket_+Inf", 0)
    lines += [f'{name}_bucket{{le="+Inf"}} {seen:.0f}', f"{name}_count {seen:.0f}"]
    return [*lines, f"{name}_sum {totals.get('hash_ms_sum', 0) / 1000:.6f}"]


def _add(connection: sqlite3.Connection, name: str, amount: float) -> None:
    connection.execute(
        "INSERT INTO counters (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, amount),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
