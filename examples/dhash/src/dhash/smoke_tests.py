"""`python -m dhash.smoke_tests`: real requests against the running service; leaves no row and no observation behind."""

import sys
from collections.abc import Callable

from dhash import client, golden, settings

METRICS = {
    "/metrics/extraction_failures": "failure_rate_percent",
    "/metrics/hash_performance": "p95_time_ms",
    "/metrics/queue_status": "low_confidence_queue_length",
}


class Smoke:
    """The checks, in the order in which they are run; each returns what it saw or raises AssertionError."""

    def __init__(self, configured: settings.Settings) -> None:
        self.settings = configured
        self.name, self.hash = next(iter(golden.expected().items()))
        self.image_id: int | None = None

    def health(self) -> str:
        """The service is well and is this release in this environment."""
        said = self._json("GET", "/health")
        _equal("version", said.get("version"), self.settings.version)
        _equal("environment", said.get("environment"), self.settings.environment)
        return f"{said['version']} in {said['environment']}, schema {said['schema']}"

    def post_image(self) -> str:
        """A golden image is accepted and hashed as expected."""
        said = self._json("POST", "/images", status=201, body=(golden.GOLDEN / self.name).read_bytes())
        self.image_id = said["id"]
        _equal(f"hash of {self.name}", said["hash"], self.hash)
        return f"{self.name} is {said['hash']}"

    def read_image(self) -> str:
        """The stored image can be read back."""
        said = self._json("GET", f"/images/{self.image_id}")
        _equal("stored hash", said["hash"], self.hash)
        return ", ".join(f"{key}={value}" for key, value in said.items() if key not in ("sha256", "created_at"))

    def find_match(self) -> str:
        """The image is found by its hash."""
        said = self._json("GET", f"/match?hash={self.hash}")
        match = said["match"] or {}
        _equal("distance of the match", match.get("distance"), 0)
        return f"image {match['image_id']}, {match['confidence']} confidence"

    def refuse_garbage(self) -> str:
        """Bytes that are no image are refused, not stored."""
        said = self._json("POST", "/images", status=422, body=b"this is no image")
        return str(said["error"])

    def metrics(self) -> str:
        """The three JSON metrics are well formed."""
        seen = []
        for path, key in METRICS.items():
            value = self._json("GET", path).get(key, "missing")
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise AssertionError(f"{path}: {key} must be a number or null, not {value!r}")
            seen.append(f"{key}={value}")
        return " ".join(seen)

    def prometheus(self) -> str:
        """The Prometheus text names the counters and the histogram."""
        text = self._send("GET", "/metrics", 200, None).body.decode()
        for name in ("dhash_images_total ", "dhash_extraction_failures_total ", "dhash_hash_duration_seconds_bucket{"):
            if not any(line.startswith(name) for line in text.splitlines()):
                raise AssertionError(f"/metrics lacks {name.strip()}")
        return f"{len(text.splitlines())} lines"

    def clean_up(self) -> None:
        """Delete the image that the checks posted."""
        if self.image_id is not None:
            self._json("DELETE", f"/images/{self.image_id}")

    def _json(self, method: str, path: str, *, status: int = 200, body: bytes | None = None) -> dict:
        answer = self._send(method, path, status, body)
        try:
            return answer.json()
        except ValueError as error:
            raise AssertionError(f"{method} {path} answered no JSON object: {error}") from error

    def _send(self, method: str, path: str, status: int, body: bytes | None) -> client.Response:
        url = f"{self.settings.base_url}{path}"
        try:
            answer = client.request(method, url, body=body, headers=client.SMOKE_HEADERS)
        except client.Unreachable as error:
            raise AssertionError(f"{method} {url}: {error}") from error
        if answer.status != status:
            raise AssertionError(f"{method} {path} answered {answer.status}, not {status}: {answer.body[:200]!r}")
        return answer


def run(smoke: Smoke) -> list[str]:
    """Run all checks, print a line each, and return the names of those that failed."""
    checks: list[Callable[[], str]] = [
        smoke.health,
        smoke.post_image,
        smoke.read_image,
        smoke.find_match,
        smoke.refuse_garbage,
        smoke.metrics,
        smoke.prometheus,
    ]
    failed = []
    for check in checks:
        try:
            print(f"ok    {check.__name__}: {check()}", flush=True)
        except (AssertionError, KeyError) as error:
            failed.append(check.__name__)
            print(f"FAIL  {check.__name__}: {error}", flush=True)
    return failed


def main() -> int:
    """Run the smoke tests against GR_BASE_URL."""
    try:
        smoke = Smoke(settings.load())
    except settings.SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    failed = run(smoke)
    try:
        smoke.clean_up()
    except AssertionError as error:
        failed.append("clean_up")
        print(f"FAIL  clean_up: {error}")
    print(f"smoke tests: {'failed: ' + ', '.join(failed) if failed else 'all passed'}")
    return 1 if failed else 0


def _equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, expected {expected!r}")


if __name__ == "__main__":
    sys.exit(main())
