"""Watches in whose rows somebody wrote what no look can be planned by: they are left to people, and keep none waiting.

SQLite keeps in a column whatever is put there, PostgreSQL a moment that never comes.
"""

from datetime import datetime
from typing import Any

from django.db import DataError
from django.db.models import BooleanField, ExpressionWrapper, Max, Q, QuerySet

from . import audit, watch_store
from .models import Watch

WHY = "what stands in its row cannot be read as a plan of looks, so it was begun anew; the database was edited"
# what reading a column that holds something else can raise
UNREADABLE = (ValueError, TypeError, ArithmeticError, DataError)
# what people are told of a watch needs no more columns than these
TOLD = ("subject_kind", "subject_id", "subject_label", "component", "environment", "state", "outcome")
CLAIMED = ExpressionWrapper(Q(claimed_until__isnull=False), output_field=BooleanField())


def read(live: QuerySet[Watch]) -> tuple[list[Watch], list[int]]:
    """Return the watches by which a look can be planned, and the ids of the others."""
    rows: QuerySet[Any] = live.annotate(is_claimed=CLAIMED)
    found: list[Any] = []
    lost: list[int] = []
    try:
        found = list(rows)
    except UNREADABLE:
        found, lost = _one_by_one(rows)
    return [one for one in found if _is_sound(one)], lost + [one.pk for one in found if not _is_sound(one)]


def ask(pk: int, now: datetime) -> bool:
    """Leave such a watch to people, and put what can be read in its place; True when that is newly decided."""
    with audit.turn():
        row = Watch.objects.filter(pk=pk)
        watch = row.only(*TOLD).get()
        old, asked = watch.outcome, str(Watch.Outcome.NEEDS_DECISION)
        polls = watch.poll_set.aggregate(last=Max("number"))["last"] or 0
        changes = {"state": Watch.State.DECIDED, "outcome": asked, "reason": WHY, "decided_at": now}
        row.update(**changes, polls=polls, gap_extension_s=0, next_due_at=now, claimed_until=None)
        for name in ("started_at", "ends_at"):
            if not isinstance(row.values_list(name, flat=True).get(), datetime):
                row.update(**{name: now})
        if old != asked:
            watch_store.tell_audit(watch, "watch.needs_decision", by=audit.SYSTEM, why=WHY, old=old, new=asked, now=now)
    return old != asked


def _one_by_one(rows: QuerySet[Any]) -> tuple[list[Any], list[int]]:
    found: list[Any] = []
    lost: list[int] = []
    for pk in rows.values_list("pk", flat=True):
        try:
            found += rows.filter(pk=pk)
        except UNREADABLE:
            lost.append(pk)
    return found, lost


def _is_sound(watch: Any) -> bool:
    moments = watch.started_at, watch.ends_at, watch.next_due_at, *([watch.claimed_until] if watch.is_claimed else [])
    return all(isinstance(one, datetime) for one in moments) and isinstance(watch.polls, int)
