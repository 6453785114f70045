"""A wall clock that was set back: what it left in the future would wait for hours, so a watch begins its window again.

A watch plans its next look by the wall clock. Set back by two hours, that look would come two hours late, and nobody
would see the service die. A clock that is set forward needs nothing: the hole that it makes extends the window.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from .models import Watch

Row = TypeVar("Row")


def is_ahead(watch: Watch, now: datetime, *, claim: timedelta) -> bool:
    """Say whether the next look, or a claim that lasts at most `claim`, is further away than a look may ever be."""
    profile = watch.profile
    far = now + timedelta(seconds=float(profile["interval_s"]) * float(profile["max_gap_intervals"]))
    return watch.next_due_at > far or (watch.claimed_until is not None and watch.claimed_until > far + claim)


def begin_again(watch: Watch, now: datetime) -> bool:
    """Let the whole window begin anew at `now`, with a look at once; False when somebody moved the watch meanwhile."""
    window = timedelta(seconds=float(watch.profile["window_s"]))
    seen = Watch.objects.filter(pk=watch.pk, polls=watch.polls, state=watch.state, outcome=watch.outcome)
    return bool(
        seen.filter(next_due_at=watch.next_due_at, claimed_until=watch.claimed_until).update(
            started_at=now, ends_at=now + window, extended=False, gap_extension_s=0, next_due_at=now, claimed_until=None
        )
    )


def in_order(rows: Sequence[Row], at: Callable[[Row], datetime]) -> list[Row]:
    """Return the rows, oldest first, without those whose moment came a second time after the clock was set back."""
    kept: list[Row] = []
    for row in reversed(rows):
        if not kept or at(row) <= at(kept[-1]):
            kept.append(row)
    return kept[::-1]
