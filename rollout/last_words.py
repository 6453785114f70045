"""How a step's command ended: what its runner saw, and what the command itself left behind."""

from pathlib import Path
from typing import Any

from rollout.intent import Outcome


def was_killed(ended: dict[str, Any]) -> bool:
    """Say whether a command died of a signal that was not its runner's: without an outcome, nobody saw what it did."""
    by_runner = ended.get("timed_out") or ended.get("cancelled") or ended.get("truncated")
    return (ended.get("code") or 0) < 0 and not by_runner


def outcome_in(folder: Path) -> Outcome | None:
    """Return the outcome that a command left; None where there is none, an errored one where it cannot be read."""
    try:
        return Outcome.read(folder)
    except (OSError, ValueError, TypeError) as error:
        return Outcome(result="errored", sentence=f"left an outcome that cannot be read: {error}")


def how(ended: dict[str, object]) -> str:
    """Return in words how a command ended that left no outcome."""
    for key, words in (
        ("timed_out", "ended after its time-out"),
        ("cancelled", "ended because of an abort"),
        ("truncated", "printed too much"),
    ):
        if ended.get(key):
            return words
    return f"ended with exit code {ended.get('code')} and left no outcome {ended.get('error', '')}".strip()
