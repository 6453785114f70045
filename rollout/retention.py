"""Which backups may go: those whose days are over and that nothing can still need; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Held:
    """A backup whose file is still there; `keep_days` None when nobody declares how long, `needed` why it must stay."""

    id: int
    target: int
    undo: bool
    verified: bool
    created_at: datetime
    keep_days: int | None
    needed: bool


def over(backups: Sequence[Held], *, now: datetime) -> tuple[Held, ...]:
    """Return the backups to remove, oldest first; never a target's last verified one, nor one that is needed."""
    last = _last_verified(backups)
    gone = [one for one in backups if _is_over(one, now) and not one.needed and one.id not in last]
    return tuple(sorted(gone, key=lambda one: (one.created_at, one.id)))


def _is_over(one: Held, now: datetime) -> bool:
    return one.keep_days is not None and now - one.created_at > timedelta(days=one.keep_days)


def _last_verified(backups: Iterable[Held]) -> frozenset[int]:
    """Return the newest verified backup of each target; an undo copy holds what a release left, and is none."""
    newest: dict[int, Held] = {}
    for one in backups:
        if one.undo or not one.verified:
            continue
        other = newest.get(one.target)
        if other is None or (one.created_at, one.id) > (other.created_at, other.id):
            newest[one.target] = one
    return frozenset(one.id for one in newest.values())
