"""A watch whose row holds what no look can be planned by is left to people, and keeps no other from being looked at."""

from typing import Any

import pytest
from django.db import connection

from monitoring import watcher
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry, Poll, Watch
from tests.approvals import forger

from .effects import NOW, later
from .watched import Target, open_watch

pytestmark = pytest.mark.django_db
# column -> what PostgreSQL takes there; SQLite takes anything
COLUMNS = {
    "next_due_at": "infinity",
    "claimed_until": "infinity",
    "started_at": "-infinity",
    "ends_at": "infinity",
    "polls": None,
    "gap_extension_s": None,
}


def garbage(column: str, text: str) -> Any:
    if connection.vendor == "sqlite":
        return text
    return COLUMNS[column] or pytest.skip("PostgreSQL takes nothing else there")


@pytest.mark.parametrize("text", ["x", "2026-13-45 00:00:00"])
@pytest.mark.parametrize("column", COLUMNS)
def test_people_are_asked_about_it_and_it_is_looked_at_again(column: str, text: str) -> None:
    watch = open_watch()
    watcher.observe_due(NOW, fetch=Target())
    forger.edit(watch, **{column: garbage(column, text)})
    assert watcher.next_due(later(1)) == later(1)
    assert watcher.observe_due(later(1), fetch=Target()) == [watch.pk]
    watch = Watch.objects.get()
    assert (watch.outcome, watch.polls, "was edited" in watch.reason) == ("NEEDS_DECISION", 1, True)
    assert AuditEntry.objects.get(action="watch.needs_decision").new == "NEEDS_DECISION"
    assert watcher.next_due(later(2)) == later(1)
    watcher.observe_due(later(2), fetch=Target())
    assert Poll.objects.count() == 2
    watcher.accept(watch, by=SYSTEM, why="I looked, all is well.", now=later(3))


@pytest.mark.parametrize("column", COLUMNS)
def test_the_others_are_looked_at(column: str) -> None:
    edited, other = open_watch(), open_watch()
    forger.edit(edited, **{column: garbage(column, "2026-13-45 00:00:00")})
    watcher.observe_due(NOW, fetch=Target())
    assert list(Poll.objects.values_list("watch", flat=True)) == [other.pk]


def test_a_breach_of_it_is_found(db: None) -> None:
    watch, target = open_watch(), Target()
    watcher.observe_due(NOW, fetch=target)
    forger.edit(watch, next_due_at=garbage("next_due_at", "x"))
    watcher.observe_due(later(1), fetch=target)
    target.p95 = 5000
    watcher.observe_due(later(2), fetch=target)
    assert Watch.objects.get().outcome == "BREACHED"


def test_what_was_asked_is_not_asked_again() -> None:
    watch = open_watch()
    for _ in range(2):
        forger.edit(watch, next_due_at=garbage("next_due_at", "x"))
        watcher.observe_due(NOW, fetch=Target())
    assert AuditEntry.objects.filter(action="watch.needs_decision").count() == 1
