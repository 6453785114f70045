"""All gates together, and the end of the window."""

from dataclasses import replace

import pytest

from monitoring.gates import GateProfile
from monitoring.verdict import State, at_end, judge

from .traces import PRODUCTION, STAGING, every, look, scheduled


def end_of(readings, *, profile=PRODUCTION, ends_at=3600.0, extended=False, now=None):
    """Judge the end of a watch that began at 0."""
    now = ends_at if now is None else now
    return at_end(profile, readings, started_at=0.0, ends_at=ends_at, extended=extended, now=now)


def with_severity(name: str, severity: str) -> GateProfile:
    """Return production with another severity of one gate."""
    gates = (replace(gate, severity=severity) if gate.name == name else gate for gate in PRODUCTION.gates)
    return replace(PRODUCTION, gates=tuple(gates))


# --- all gates together


def test_all_rollback_gates_within_their_limits_is_passing():
    judged = judge(PRODUCTION, look(scheduled(1800)), started_at=0, now=1800)

    assert (judged.state, judged.breach, judged.pause) == (State.PASSING, None, None)
    assert judged.reason.startswith("All 4 gates are within their limits; the nearest is")


def test_one_gate_without_data_is_no_data_for_all():
    judged = judge(PRODUCTION, look(scheduled(1800), p95=lambda at: None), started_at=0, now=1800)

    assert judged.state is State.NO_DATA
    assert judged.reason.startswith("Hash time p95: no data for")


def test_a_breach_outweighs_missing_data():
    readings = look(scheduled(1800), p95=lambda at: None, queue=lambda at: 5000)

    assert judge(PRODUCTION, readings, started_at=0, now=1800).breach.gate.name == "queue"


def test_an_alert_gate_never_breaches():
    judged = judge(with_severity("queue", "alert"), look([0], queue=lambda at: 5000), started_at=0, now=0)

    assert judged.breach is None
    assert [alert.gate.name for alert in judged.alerts] == ["queue"]


def test_a_pause_gate_asks_and_does_not_breach():
    judged = judge(with_severity("queue", "pause"), look(scheduled(600), queue=lambda at: 5000), started_at=0, now=600)

    assert (judged.breach, judged.pause.gate.name, judged.state) == (None, "queue", State.PASSING)


def test_missing_data_of_an_alert_gate_does_not_hold_up_the_others():
    profile = with_severity("queue", "alert")

    assert judge(profile, look(scheduled(600), queue=lambda at: None), started_at=0, now=600).state is State.PASSING


def test_staging_without_any_rollback_gate_is_not_passing_while_it_sees_nothing():
    assert judge(STAGING, [], started_at=0, now=600).state is State.NO_DATA


def test_a_verdict_is_told_as_plain_json_values():
    (first, *_) = judge(PRODUCTION, look([0]), started_at=0, now=0).gates

    assert first.to_dict() == {
        "name": "health", "title": "Consecutive failed health checks", "severity": "rollback", "state": "passing",
        "value": 0, "limit": 2.0, "unit": "in a row", "samples": 1, "missed": 0,
        "reason": "Consecutive failed health checks: the last one was well.",
    }  # fmt: skip


# --- the end of the window


def test_before_the_end_it_waits():
    assert end_of(look(scheduled(3540)), now=3540).action == "wait"


def test_a_window_seen_whole_and_within_the_limits_passes():
    assert end_of(look(scheduled(3600))).action == "pass"


def test_a_window_that_nobody_looked_at_never_passes():
    first = end_of([])
    second = end_of([], ends_at=first.new_ends_at, extended=first.extended)

    assert (first.action, first.new_ends_at, first.extended) == ("extend", 5400, True)
    assert second.action == "needs_decision"


def test_one_metric_that_never_has_data_extends_once_and_then_needs_a_decision():
    def without(until):
        return look(scheduled(until), p95=lambda at: None)

    first = end_of(without(3600))
    second = end_of(without(5400), ends_at=first.new_ends_at, extended=first.extended)

    assert (first.action, first.new_ends_at, first.extended) == ("extend", 5400, True)
    assert second.action == "needs_decision"
    assert "a person decides" in second.reason


def test_the_same_holes_cost_the_same_on_any_schedule():
    def holed(at):
        return None if at % 1200 < 300 and at > 0 else 400.0

    often, seldom = (
        judge(PRODUCTION, look(every(step, 3600), p95=holed), started_at=0, now=3600).observed_share for step in (5, 60)
    )

    assert often < 1
    assert often == pytest.approx(seldom, abs=2 * 60 / 3600)


def test_a_window_observed_for_less_than_nine_tenths_is_extended_by_half():
    # data only every 350 s, within the allowed gap of 360 s: each reading vouches for 240 s of it
    readings = look(scheduled(3600), p95=lambda at: 400.0 if at <= 300 or at % 360 == 60 or at > 2600 else None)
    judged = judge(PRODUCTION, readings, started_at=0, now=3600)
    end = end_of(readings)

    assert (judged.state, judged.observed_share < 0.9) == (State.PASSING, True)
    assert judged.gap_extension_s == 0
    assert (end.action, end.new_ends_at, end.extended) == ("extend", 5400, True)
    assert "90 % are needed" in end.reason


def test_a_gap_longer_than_three_intervals_extends_the_window_by_its_length():
    times = [at for at in scheduled(3600) if not 1200 < at < 1800]
    hole = min(at for at in times if at >= 1800) - max(at for at in times if at <= 1200)
    end = end_of(look(times))

    assert (end.action, end.new_ends_at, end.extended) == ("extend", 3600 + hole, False)


def test_after_the_gap_was_made_up_for_the_window_passes():
    times = [at for at in scheduled(6000) if not 1200 < at < 1800]
    end = end_of(look(times))
    later = end_of(look([at for at in times if at <= end.new_ends_at]), ends_at=end.new_ends_at)

    assert later.action == "pass"


def test_a_gap_of_three_intervals_does_not_extend():
    times = [at for at in scheduled(3600) if at not in (1260.0, 1380.0)]

    assert end_of(look(times)).action == "pass"


def test_a_watcher_that_was_dead_past_the_end_still_owes_the_whole_gap():
    times = [*scheduled(2940), 9000]
    end = end_of(look(times), now=9000)

    assert (end.action, end.new_ends_at) == ("extend", 3600 + 9000 - 2940)


def test_many_gaps_extend_by_one_window_at_most():
    times = [*scheduled(300), *every(600, 7200, since=600)]
    end = end_of(look(times), ends_at=7200.0, now=7200.0)

    assert end.action == "extend"
    assert end.extended


def test_an_instant_gate_that_was_not_read_at_the_very_end_waits_for_the_next_look():
    end = end_of(look(scheduled(3600), queue=lambda at: None if at > 3500 else 10))

    assert (end.action, end.new_ends_at, end.extended) == ("wait", 3600, False)


def test_the_wait_for_the_next_look_ends_after_three_intervals():
    readings = look([*scheduled(3600), *every(30, 3990, since=3630)], queue=lambda at: None if at > 3500 else 10)

    assert end_of(readings, now=3990).action == "extend"


def test_a_failing_check_at_the_end_is_not_a_pass():
    assert end_of(look(scheduled(3600), health=lambda at: int(at < 3540))).action == "wait"


def test_a_breach_at_the_end_is_not_a_pass():
    assert end_of(look(scheduled(3600), queue=lambda at: 5000)).action == "needs_decision"


def test_a_pause_gate_above_its_limit_needs_a_decision():
    readings = look(scheduled(3600), queue=lambda at: 5000)

    assert end_of(readings, profile=with_severity("queue", "pause")).action == "needs_decision"


def test_an_alert_gate_above_its_limit_passes():
    readings = look(scheduled(3600), queue=lambda at: 5000)

    assert end_of(readings, profile=with_severity("queue", "alert")).action == "pass"
