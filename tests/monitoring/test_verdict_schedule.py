"""The verdict does not depend on how often was looked, where no checks fail in a row."""

import pytest

from monitoring.verdict import judge

from .traces import PRODUCTION, every, look, scheduled

TRACES = {
    "healthy": {},
    "slow from minute 12": {"p95": lambda at: 3000.0 if at >= 720 else 400.0},
    "extraction fails from minute 20": {"extraction": lambda at: 12.0 if at >= 1200 else 1.0},
    "extraction failed for 3 minutes": {"extraction": lambda at: 12.0 if 1200 <= at < 1380 else 1.0},
    "queue fills": {"queue": lambda at: at / 2},
    "p95 null for good": {"p95": lambda at: None},
    "p95 null from minute 30": {"p95": lambda at: None if at >= 1800 else 400.0},
}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES.keys())
@pytest.mark.parametrize("now", [900, 1500, 1800, 2400, 3600])
def test_5_s_and_60_s_polling_give_the_same_verdict(trace, now):
    often = judge(PRODUCTION, look(every(5, now), **trace), started_at=0, now=now)
    seldom = judge(PRODUCTION, look(every(60, now), **trace), started_at=0, now=now)

    assert often.state is seldom.state
    assert [gate.state for gate in often.gates] == [gate.state for gate in seldom.gates]


@pytest.mark.parametrize("times", [every(5, 3600), every(60, 3600), scheduled(3600)], ids=["5 s", "60 s", "plain"])
def test_the_observed_share_is_whole_on_every_schedule(times):
    assert judge(PRODUCTION, look(times), started_at=0, now=3600).observed_share == 1
