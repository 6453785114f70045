"""`python -m dhash.traffic --rate R --seconds N`: posts real images at a steady rate and prints a summary as JSON."""

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter

from dhash import client, frames
from dhash.metrics import percentile

MAX_SECONDS = 4 * 3600
TIMEOUT_S = 15.0


class Traffic:
    """Shared state of the posting threads: the schedule, and what came of it."""

    def __init__(self, base_url: str, *, rate: float, seconds: float, first: int) -> None:
        self.base_url = base_url
        self._interval = 1 / rate
        self._began = time.monotonic()
        self._ends = self._began + seconds
        self._next = 0
        self._first = first
        self._lock = threading.Lock()
        self.statuses: Counter[str] = Counter()
        self.times_ms: list[float] = []
        self.versions: Counter[str] = Counter()
        self.example = ""

    def claim(self) -> int | None:
        """Wait for the next post that is due and return its image number; None when the time is over."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        due = self._began + number * self._interval
        if due >= self._ends:
            return None
        time.sleep(max(0.0, due - time.monotonic()))
        # Behind schedule because the service is slow: stop at the end all the same.
        return None if time.monotonic() >= self._ends else self._first + number

    def note(self, status: str, spent_ms: float, example: str = "") -> None:
        """Count one post."""
        with self._lock:
            self.statuses[status] += 1
            self.times_ms.append(spent_ms)
            self.example = self.example or example

    def summary(self) -> dict[str, object]:
        """Return what was posted and how it was answered."""
        took = time.monotonic() - self._began
        posted = len(self.times_ms)
        return {
            "posted": posted,
            "seconds": round(took, 2),
            "rate": round(posted / took, 2) if took else 0.0,
            "answers": dict(sorted(self.statuses.items())),
            "failed": posted - self.statuses["201"],
            "p50_ms": round(percentile(self.times_ms, 50) or 0.0, 1),
            "p95_ms": round(percentile(self.times_ms, 95) or 0.0, 1),
            "first_failure": self.example or None,
        }


def post_until_done(traffic: Traffic) -> None:
    """Post image after image on one kept-alive connection."""
    channel = client.Channel(traffic.base_url, timeout_s=TIMEOUT_S)
    while (number := traffic.claim()) is not None:
        data = frames.traffic_frame(number)
        began = time.monotonic()
        try:
            answer = channel.send("POST", "/images", body=data, headers={"Content-Type": "application/octet-stream"})
            status, example = str(answer.status), "" if answer.status == 201 else answer.body.decode()[:200]
        except client.Unreachable as error:
            status, example = "unreachable", str(error)
        traffic.note(status, (time.monotonic() - began) * 1000, example)
    channel.close()


def main(argv: list[str] | None = None) -> int:
    """Post for a while; return 1 when more than the tolerated share of posts failed."""
    parser = argparse.ArgumentParser(prog="dhash.traffic", description=__doc__)
    parser.add_argument("--rate", type=float, default=10.0, help="images per second (default 10, at most 100)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long (default 5, at most 4 hours)")
    parser.add_argument("--base-url", default=os.environ.get("GR_BASE_URL"), help="default: GR_BASE_URL")
    parser.add_argument("--connections", type=int, default=8, help="posts at the same time (default 8)")
    parser.add_argument("--first", type=int, default=0, help="number of the first image")
    parser.add_argument("--tolerate", type=float, default=1.0, help="share of failed posts in percent (default 1)")
    options = parser.parse_args(argv)
    if not options.base_url:
        parser.error("--base-url is needed where GR_BASE_URL is not set")
    if not (0 < options.rate <= 100 and 0 < options.seconds <= MAX_SECONDS and 1 <= options.connections <= 64):
        parser.error("--rate must be above 0 to 100, --seconds above 0 to 14400, --connections 1 to 64")
    traffic = Traffic(options.base_url, rate=options.rate, seconds=options.seconds, first=options.first)
    threads = [threading.Thread(target=post_until_done, args=(traffic,)) for _ in range(options.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = traffic.summary()
    print(json.dumps(summary), flush=True)
    posted, failed = len(traffic.times_ms), len(traffic.times_ms) - traffic.statuses["201"]
    return 0 if posted and failed * 100 <= options.tolerate * posted else 1


if __name__ == "__main__":
    sys.exit(main())
