"""The structured log: one JSON object a line, appended whole, so that several processes may share the file."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

REQUIRED_KEYS = ("ts", "level", "event", "version", "environment", "pid")


class Journal:
    """Writes events of one process; the file may be moved away by a log rotation at any time."""

    def __init__(self, path: Path, *, version: str, environment: str) -> None:
        self._path = path
        self._always = {"version": version, "environment": environment}
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, level: str, event: str, **fields: object) -> None:
        """Append one line with the required keys and these fields."""
        stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        entry = {"ts": stamp, "level": level, "event": event, **self._always, "pid": os.getpid(), **fields}
        line = json.dumps(entry, ensure_ascii=False, default=str) + "\n"
        # Opened for each line: append mode makes one write atomic between processes, and a rotated file is followed.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def complaint(line: str) -> str | None:
    """Return what is wrong with a line of the log, or None when it is well formed."""
    try:
        entry = json.loads(line)
    except ValueError as error:
        return f"no JSON ({error})"
    if not isinstance(entry, dict):
        return "no JSON object"
    missing = [key for key in REQUIRED_KEYS if key not in entry]
    if missing:
        return f"lacks {', '.join(missing)}"
    try:
        stamp = datetime.fromisoformat(entry["ts"])
    except (TypeError, ValueError):
        return f"ts is no ISO 8601 time: {entry['ts']!r}"
    return None if stamp.tzinfo else "ts has no time zone"
