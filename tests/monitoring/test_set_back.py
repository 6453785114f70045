"""A wall clock that is set back, or comes back from the past: no watch goes blind, none passes early."""

from datetime import timedelta

import pytest
from django.db import transaction

from monitoring import notices, watch_data, watcher
from monitoring.models import AuditEntry, Notice, Poll, Watch
from monitoring.routes import Route

from .effects import NOW, ROLLOUT, later
from .watched import Target, open_watch, run

pytestmark = pytest.mark.django_db
BACK = -7200


def queue(channel):
    """Queue one notice at NOW."""
    with transaction.atomic():
        notices.queue(
            "run_started",
            subject=ROLLOUT,
            severity="info",
            context={},
            routes=[Route(channel=channel)],
            key="rollout:41:1",
            url="",
            now=NOW,
        )


def test_a_clock_set_back_makes_a_look_due_at_once():
    open_watch()
    watcher.observe_due(NOW, fetch=Target())
    assert watcher.next_due(later(BACK)) == later(BACK)


def test_a_service_that_dies_after_the_clock_was_set_back_is_seen_within_seconds():
    watch, target = open_watch(), Target()
    run(watch, target, until=20)
    target.status = 503
    decided = run(watch, target, start=BACK, until=BACK + 60)
    assert watch.outcome == Watch.Outcome.BREACHED
    assert decided[0][0] - BACK <= 10


def test_a_clock_set_back_makes_the_window_begin_again_and_audits_it():
    watch = open_watch()
    run(watch, Target(), until=50)
    decided = run(watch, Target(), start=BACK, until=BACK + 100)
    assert watch.outcome == Watch.Outcome.PASSED
    assert decided[0][0] - BACK >= 60
    assert AuditEntry.objects.filter(action="watch.begun_again").count() == 1


def test_what_was_seen_at_moments_that_come_twice_counts_once():
    watch, target = open_watch(), Target()
    run(watch, target, until=50)
    run(watch, target, start=-45, until=40)
    times = [reading.at for reading in watch_data.readings(watch)]
    assert times == sorted(times)
    assert watch_data.series(watch)["at"] == sorted(set(times))
    assert Poll.objects.filter(watch=watch).count() > len(set(times))


def test_a_claim_that_a_dead_worker_left_in_the_future_is_void():
    watch = open_watch()
    Watch.objects.filter(pk=watch.pk).update(claimed_until=later(30))
    watcher.observe_due(later(BACK), fetch=Target())
    watch.refresh_from_db()
    assert (watch.polls, watch.started_at) == (1, later(BACK))


@pytest.mark.parametrize("years", [1, 12, 56])
def test_a_clock_that_jumps_years_ahead_extends_the_window_and_the_watch_goes_on(years):
    watch = open_watch()
    ahead = timedelta(days=365 * years).total_seconds()
    run(watch, Target(), until=30)
    decided = run(watch, Target(), start=ahead, until=ahead + 100)
    assert watch.outcome == Watch.Outcome.PASSED
    assert decided[0][0] - ahead >= 25


def test_a_step_back_within_the_longest_allowed_gap_changes_nothing():
    watch = open_watch()
    run(watch, Target(), until=30)
    decided = run(watch, Target(), start=20, until=100)
    assert (watch.started_at, decided[0][0] < 61) == (NOW, True)


def test_a_notice_from_before_the_clock_was_set_back_is_sent_at_once():
    queue(channel="file")
    assert notices.next_due(later(BACK)) == later(BACK)
    assert notices.deliver_due(later(BACK)) == 1


def test_a_notice_that_another_worker_sends_just_now_is_left_to_it():
    queue(channel="file")
    Notice.objects.update(claimed_until=later(BACK + 60))
    assert notices.deliver_due(later(BACK)) == 0


def test_a_claim_on_a_notice_that_lies_in_the_future_is_void():
    queue(channel="file")
    Notice.objects.update(claimed_until=later(60), next_attempt_at=later(BACK))
    assert notices.deliver_due(later(BACK)) == 1


def test_a_retry_keeps_its_pause_after_the_clock_was_set_back():
    queue(channel="slack")  # without its setting: refused, and left to the file
    Notice.objects.update(state="FELL_BACK", attempts=3, next_attempt_at=later(BACK + 120))
    assert notices.deliver_due(later(BACK)) == 0
