"""When to look again, and the reason that is shown."""

import pytest

from monitoring.cadence import Next, next_poll
from monitoring.verdict import judge

from .traces import DEMO, PRODUCTION, every, look, scheduled


def after(times, profile=PRODUCTION, ends_at=None, **changed) -> Next:
    """Return the next poll after looking at these times."""
    now = times[-1]
    verdict = judge(profile, look(times, **changed), started_at=0, now=now)
    return next_poll(profile, verdict, started_at=0, now=now, ends_at=ends_at)


def test_the_first_look_is_at_once():
    assert next_poll(PRODUCTION, None, started_at=0, now=0).interval_s == 0


def test_the_first_five_minutes_are_fast():
    assert after(every(30, 270)) == Next(interval_s=30, reason="first 5 min: every 30 s")


def test_after_five_minutes_it_is_slow():
    assert after(every(30, 300)) == Next(interval_s=120, reason="all gates are well within their limits: every 2 min")


def test_the_demo_has_the_same_schedule_forty_times_faster():
    assert after(every(0.75, 6.75), DEMO) == Next(interval_s=0.75, reason="first 7.5 s: every 0.75 s")
    assert after(every(0.75, 7.5), DEMO).interval_s == 3


@pytest.mark.parametrize(("value", "interval_s"), [(1599, 120), (1600, 30), (1680, 30)])
def test_near_a_limit_it_is_fast(value, interval_s):
    assert after(scheduled(1800), p95=lambda at: value).interval_s == interval_s


def test_the_reason_says_how_near():
    assert after(scheduled(1800), p95=lambda at: 1680).reason == "Hash time p95 at 84 % of its limit: every 30 s"


def test_a_failed_check_is_looked_at_again_at_the_fast_interval():
    found = after(scheduled(1860), health=lambda at: int(at < 1860))

    assert found == Next(interval_s=30, reason="Consecutive failed health checks: 1 so far: every 30 s")


def test_a_service_that_is_down_altogether_is_not_looked_at_faster_than_that():
    # else three checks would fail within a blip of 20 s
    down = {name: lambda at: None if at >= 1860 else 1 for name in ("extraction", "p95", "queue")}

    assert after(scheduled(1860), health=lambda at: int(at < 1860), **down).interval_s == 30


def test_a_failed_read_is_tried_again_sooner():
    found = after(scheduled(1860), p95=lambda at: None if at >= 1860 else 400)

    assert found == Next(interval_s=10, reason="Hash time p95 could not be read: every 10 s")


def test_a_metric_that_stays_away_is_not_asked_so_often_for_ever():
    times = [*scheduled(1860), *every(10, 1890, since=1870)]

    assert after(times, p95=lambda at: None if at >= 1860 else 400).interval_s > 10


def test_a_gate_that_is_not_known_is_looked_at_fast():
    times = [*scheduled(1860), *every(30, 3600, since=1890)]

    assert (
        after(times, queue=lambda at: None if at >= 1860 else 10).reason
        == "Low-confidence queue is not known: every 30 s"
    )


def test_an_alert_gate_near_its_limit_is_no_reason_to_look_more_often():
    memory = {"memory": lambda at: 99.0}

    assert after(scheduled(1860), **memory).interval_s == 120


def test_a_poll_falls_on_the_end_of_the_window():
    assert after(scheduled(3540), ends_at=3600) == Next(interval_s=60, reason="the window ends in 1 min")


def test_past_the_end_the_schedule_goes_on():
    assert after(scheduled(3660), ends_at=3600).interval_s == 120
