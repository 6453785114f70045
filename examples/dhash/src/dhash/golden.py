"""`python -m dhash.golden`: the golden frames must hash as media engineering accepted them."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from dhash import client, fingerprint, settings
from dhash.extraction import ExtractionError, decode, hash_of

GOLDEN = settings.RELEASE_DIR / "golden"


def expected() -> dict[str, str]:
    """Return file name -> hash of the golden set."""
    return json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


def differences(hash_file: Callable[[Path], str]) -> list[tuple[str, str, str]]:
    """Return (file, expected, found) for each frame that hashes differently."""
    rows = ((name, wanted, hash_file(GOLDEN / name)) for name, wanted in expected().items())
    return [row for row in rows if row[1] != row[2]]


def in_process(path: Path) -> str:
    """Hash with this release's own code; an image that cannot be read gives the reason instead."""
    try:
        return hash_of(decode(path.read_bytes(), 10**8))
    except (OSError, ExtractionError) as error:
        return f"error: {error}"


def over_http(base_url: str) -> Callable[[Path], str]:
    """Return a function that lets the running service hash a file, leaving nothing behind."""

    def hash_file(path: Path) -> str:
        try:
            answer = client.request(
                "POST", f"{base_url}/images", body=path.read_bytes(), headers=client.SMOKE_HEADERS, timeout_s=30.0
            )
            said = answer.json()
            if answer.status != 201:
                return f"error: {answer.status} {said.get('error')}"
            client.request("DELETE", f"{base_url}/images/{said['id']}", headers=client.SMOKE_HEADERS)
            return said["hash"]
        except (client.Unreachable, OSError, ValueError) as error:
            return f"error: {error}"

    return hash_file


def serves_this_release(configured: settings.Settings) -> bool:
    """Tell whether the running service is of the release that this code belongs to."""
    try:
        said = client.request("GET", f"{configured.base_url}/health", timeout_s=5.0).json()
    except (client.Unreachable, ValueError):
        return False
    return said.get("version") == configured.version


def main(argv: list[str] | None = None) -> int:
    """Check the golden set; return 1 with a table of differences when a frame hashes differently."""
    parser = argparse.ArgumentParser(prog="dhash.golden", description=__doc__)
    parser.add_argument("--in-process", action="store_true", help="hash with this release's code, ask no service")
    parser.add_argument("--over-http", action="store_true", help="ask the service, whatever release it is of")
    options = parser.parse_args(argv)
    try:
        configured = settings.load()
    except settings.SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    asked = options.over_http or (not options.in_process and serves_this_release(configured))
    where = f"the service at {configured.base_url}" if asked else f"the code of {configured.version} in process"
    found = differences(over_http(configured.base_url) if asked else in_process)
    for name, wanted, got in found:
        apart = f"{fingerprint.distance(wanted, got)} bits" if fingerprint.is_hash(got) else "-"
        print(f"DIFFERS {name:24} expected {wanted}  found {got}  {apart}")
    total = len(expected())
    print(f"golden: {total - len(found)} of {total} frames as expected by {where}")
    return 1 if found or not total else 0


if __name__ == "__main__":
    sys.exit(main())
