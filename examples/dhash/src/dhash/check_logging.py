"""`python -m dhash.check_logging`: a posted image leaves its line in the log, and recent lines are well formed."""

import json
import sys
import time
import uuid
from pathlib import Path

from dhash import client, golden, journal, settings

RECENT_BYTES = 256 * 1024
WITHIN_S = 3.0


def recent_lines(path: Path) -> list[str]:
    """Return the whole lines at the end of the log."""
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        start = max(0, size - RECENT_BYTES)
        handle.seek(start)
        lines = handle.read().decode("utf-8", errors="replace").splitlines()
    return lines[1:] if start else lines


def find_entry(path: Path, request_id: str) -> dict | None:
    """Wait for the line of a request; return None when it does not come."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        if path.exists():
            for line in reversed(recent_lines(path)):
                if request_id in line and journal.complaint(line) is None:
                    return json.loads(line)
        time.sleep(0.05)
    return None


def post_marked(configured: settings.Settings) -> tuple[str, dict]:
    """Post one golden image with a request id of its own, delete it again; return the id and the answer."""
    request_id = f"check-logging-{uuid.uuid4().hex}"
    headers = {**client.SMOKE_HEADERS, "X-Request-ID": request_id}
    body = (golden.GOLDEN / next(iter(golden.expected()))).read_bytes()
    answer = client.request("POST", f"{configured.base_url}/images", body=body, headers=headers)
    said = answer.json()
    if answer.status != 201:
        raise ValueError(f"POST /images answered {answer.status}: {said.get('error')}")
    client.request("DELETE", f"{configured.base_url}/images/{said['id']}", headers=client.SMOKE_HEADERS)
    return request_id, said


def main() -> int:
    """Run the check and print what was found."""
    try:
        configured = settings.load()
        request_id, said = post_marked(configured)
    except (settings.SettingsError, client.Unreachable, ValueError) as error:
        print(f"FAIL  the service did not take an image: {error}", file=sys.stderr)
        return 1
    entry = find_entry(configured.log_file, request_id)
    if entry is None:
        print(f"FAIL  {configured.log_file} has no well-formed line for request {request_id} after {WITHIN_S:g} s")
        return 1
    wrong = [key for key in ("id", "hash") if entry.get(key) != said[key]]
    wrong += [key for key in ("version", "environment") if entry[key] != getattr(configured, key)]
    print(f"ok    line of the posted image: {json.dumps(entry)}")
    for key in wrong:
        print(f"FAIL  its {key} is {entry.get(key)!r}")
    lines = recent_lines(configured.log_file)
    bad = [(line, said) for line in lines if (said := journal.complaint(line))]
    for line, complaint in bad[:10]:
        print(f"FAIL  {complaint}: {line[:160]}")
    print(f"logging: {len(lines) - len(bad)} of {len(lines)} recent lines well formed in {configured.log_file}")
    return 1 if wrong or bad else 0


if __name__ == "__main__":
    sys.exit(main())
