"""Whether a rollout changed its target: as the audit tells, and what the rows say beside it.

Rows can be written past the product. So what is undone by itself goes by the audit; where only rows tell of a change,
or the audit cannot be believed, a person looks; and nothing has changed only where neither tells of it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from approvals import proven
from monitoring import audit_told
from rollout import journal, standing
from rollout.models import Rollout, Run, Step
from rollout.states import RolloutState as R
from rollout.states import StepState as S

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Whether a rollout's deploys changed the target, or may have; and why that is not clear, or nothing."""

    possible: bool
    unclear: str = ""


def has_effects(rollout: Rollout) -> bool:
    """Say whether anything on the target was, or may have been, changed by this rollout, by its rows alone."""
    return any(step.possible_effects for step in _steps(rollout))


def may_have_changed(rollout: Rollout) -> bool:
    """Say whether there may be something to undo, by rows or by the audit; that is only asked where rows say no."""
    return has_effects(rollout) or changes(rollout).possible


def is_shown_or_told(rollout: Rollout) -> bool:
    """Say whether rows or entries tell that something was changed; whether entries are hidden is not looked at."""
    try:
        return has_effects(rollout) or _is_told(rollout, audit_told.about("rollout", [rollout.pk])[0])
    except proven.UNREADABLE:
        return False


def changes(rollout: Rollout) -> Changes:
    """Return what the audit tells of a rollout's attempts to change the target, compared with its rows."""
    try:
        entries, wrong = audit_told.about("rollout", [rollout.pk])
        unclear = next(_unsound(entries, wrong), "")
        told = _is_told(rollout, entries)
    except proven.UNREADABLE as error:
        told, unclear = False, f"it cannot be read: {error!r}"
    if not (unclear or told) and has_effects(rollout):
        unclear = "no entry of the audit tells of the attempts of which its rows tell"
    return Changes(possible=told or bool(unclear), unclear=f"{unclear}{standing.EDITED}" if unclear else "")


def is_left_to_people(rollout: Rollout) -> bool:
    """Say whether the audit tells that this rollout was rolled back before, or is not to be rolled back by itself."""
    entries = audit_told.about("rollout", [rollout.pk])[0]
    return any(one["new"] == R.ROLLING_BACK or one["action"] == journal.WITHHELD for one in entries)


def _unsound(entries: list[Json], wrong: list[str]) -> Iterator[str]:
    """Yield why entries of a rollout may be hidden: the chain has to hold since its start was first asked for."""
    yield from wrong
    if not entries:
        yield "no entry of the audit tells of it"
        return
    first = next((one["seq"] for one in entries if one["new"] == R.QUEUED), entries[0]["seq"])
    yield from audit_told.broken_from(first, by_anchor=False)


def _is_told(rollout: Rollout, entries: list[Json]) -> bool:
    """Say whether an attempt was begun and did, or may, have happened by these entries."""
    intended, never = (
        {(one["data"]["step"], one["data"]["attempt"]) for one in entries if one["action"] == action}
        for action in (journal.INTENDED, journal.DID_NOT_HAPPEN)
    )
    return bool(intended - never) or _is_told_of_old(rollout, Counter(step for step, _ in intended))


def _is_told_of_old(rollout: Rollout, intended: Counter[int]) -> bool:
    """Say whether the steps' own entries tell of attempts that the journal does not: an older version wrote them."""
    tried = [step for step in _steps(rollout) if step.possible_effects]
    entries = audit_told.about("step", [step.pk for step in tried])[0] if tried else []
    begun = Counter(one["subject"]["id"] for one in entries if one["new"] == S.RUNNING)
    return any(begun[str(step.pk)] > intended[step.pk] for step in tried)


def _steps(rollout: Rollout) -> QuerySet[Step]:
    mine = Step.objects.filter(run__rollout=rollout, run__kind=Run.Kind.DEPLOY, effect=True, attempt__gt=0)
    return mine.prefetch_related("effects")
