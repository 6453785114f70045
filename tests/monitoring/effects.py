"""What the tests of audit, notices, incidents and watches share."""

from datetime import UTC, datetime, timedelta

from monitoring.audit import Actor, Subject

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RITA = Actor(id=7, name="Rita", via="browser", address="192.0.2.7", session="secret-session-key", request_id="r1")
ROLLOUT = Subject(
    kind="rollout", id="41", label="dhash 1.1.0 → production", component="dhash", environment="production"
)


def later(seconds: float) -> datetime:
    """Return the moment that many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)
