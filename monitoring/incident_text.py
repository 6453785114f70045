"""The words that tell others of an incident, ready to be copied: declaration and status update; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UPDATE_EVERY = {"P0": timedelta(minutes=15), "P1": timedelta(minutes=30), "P2": timedelta(hours=2)}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an incident's page knows of it."""

    number: int
    severity: str
    title: str
    summary: str
    about: str
    component: str
    environment: str
    opened_at: datetime
    lead: str
    state: str
    last: str
    url: str


def declaration(told: Told, now: datetime) -> str:
    """Return the message that declares an incident; what only a person knows stands in capitals."""
    return "\n".join(
        [
            f"[{told.severity}] {_place(told)}: {told.title}, since {_clock(told.opened_at)} UTC",
            f"About: {told.about}. Cause so far: {told.summary or 'UNKNOWN'}",
            "Impact: WHO AND HOW MANY, WHAT THEY SEE.",
            f"Action: {told.last}",
            f"Lead: {told.lead or 'NAME'}. Next update: {_next(told, now)} UTC.",
            f"INC-{told.number}: {told.url}",
        ]
    )


def status_update(told: Told, now: datetime) -> str:
    """Return the message that says how it stands."""
    return "\n".join(
        [
            f"[{told.severity}] {_place(told)}, update at {_clock(now)} UTC: {told.title}",
            f"State: {told.state}. Now: BETTER / SAME / WORSE.",
            f"Done since the last update: {told.last}",
            "Next: WHAT WE DO NOW.",
            f"Lead: {told.lead or 'NAME'}. Next update: {_next(told, now)} UTC.",
            f"INC-{told.number}: {told.url}",
        ]
    )


def _place(told: Told) -> str:
    return " ".join(part for part in (told.component, told.environment) if part) or told.about


def _next(told: Told, now: datetime) -> str:
    return _clock(now + UPDATE_EVERY[told.severity])


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M}"
