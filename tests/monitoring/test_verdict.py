"""How one gate judges its readings: the layer of gates that people know."""

from dataclasses import replace

import pytest

from monitoring.verdict import State, judge

from .traces import DEMO, PRODUCTION, every, one_gate, reading


def verdict_of(profile, readings, now, gate="gate", started_at=0.0):
    """Return what one gate says at a moment."""
    judged = judge(profile, readings, started_at=started_at, now=now)
    return next(verdict for verdict in judged.gates if verdict.gate.name == gate)


def numbers(times, value):
    """Return readings of the one-gate profiles' source; `value` is a number, None, or a function of time."""
    says = value if callable(value) else lambda at: value
    return [reading("number", at, says(at)) for at in times]


def health(*answers, apart=30.0):
    """Return health readings, 1 for well and 0 for failed, and the time of the last."""
    return [reading("health", apart * index, answer) for index, answer in enumerate(answers)], apart * (
        len(answers) - 1
    )


# --- consecutive failures


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ((1,), State.PASSING),
        ((1, 0), State.UNDECIDED),
        ((1, 0, 0), State.UNDECIDED),
        ((1, 0, 0, 0), State.FAILING),
        ((0, 0, 0), State.FAILING),
        ((1, 0, 0, 1), State.PASSING),
        ((1, 0, 0, 1, 0, 0), State.UNDECIDED),
        ((0, 0, 1, 0), State.UNDECIDED),
    ],
)
def test_more_than_two_consecutive_is_the_third_failure(answers, state):
    readings, now = health(*answers)

    assert verdict_of(PRODUCTION, readings, now, "health").state is state


def test_the_third_failure_is_a_breach_with_what_the_service_said():
    readings, now = health(1, 0, 0, 0)
    judged = judge(PRODUCTION, readings, started_at=0, now=now)

    assert judged.state is State.FAILING
    assert judged.breach.gate.name == "health"
    assert "3 in a row failed, more than 2; the last one said: connection refused" in judged.reason


def test_failures_on_both_sides_of_a_gap_are_not_consecutive():
    readings = [reading("health", at, 0) for at in (1200.0, 1320.0, 1681.0)]

    assert verdict_of(PRODUCTION, readings, 1681.0, "health").state is State.UNDECIDED


def test_checks_that_run_into_their_time_out_are_consecutive_even_when_that_is_longer_than_a_gap():
    hung = [replace(reading("health", at, 0), elapsed_ms=10_000) for at in (20.0, 31.0, 42.0)]

    assert verdict_of(DEMO, hung, 42.0, "health").state is State.FAILING


def test_failures_as_far_apart_as_three_intervals_are_consecutive():
    readings = [reading("health", at, 0) for at in (1200.0, 1560.0, 1920.0)]

    assert verdict_of(PRODUCTION, readings, 1920.0, "health").state is State.FAILING


def test_a_health_check_that_nobody_made_lately_is_undecided():
    assert verdict_of(PRODUCTION, [reading("health", 600, 1)], 961, "health").state is State.UNDECIDED


def test_order_of_arrival_does_not_matter():
    readings, now = health(0, 0, 0, 1)

    assert verdict_of(PRODUCTION, readings[::-1], now, "health").state is State.PASSING


# --- over W: mean and median


@pytest.mark.parametrize(("count", "state"), [(4, State.UNDECIDED), (5, State.FAILING)])
def test_five_samples_are_needed(count, state):
    readings = numbers(every(30, 30 * (count - 1)), 9)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, readings[-1].at).state is state


def test_four_samples_say_how_many_are_missing():
    found = verdict_of(one_gate("mean_over", over_s=600), numbers(every(30, 90), 9), 90)

    assert found.reason == "Gate: 4 of the 5 samples that are needed."


@pytest.mark.parametrize(("value", "state"), [(5, State.PASSING), (5.01, State.FAILING)])
def test_the_limit_itself_is_within_the_limit(value, state):
    assert verdict_of(one_gate("mean_over", over_s=600), numbers(every(30, 300), value), 300).state is state


def test_a_limit_that_no_float_can_hold_is_within_the_limit_too():
    found = verdict_of(one_gate("instant", limit="0.1"), numbers([0], 0.1), 0)

    assert found.state is State.PASSING


def test_before_w_has_passed_all_samples_since_the_deploy_count():
    # 6 samples of 0 and 6 of 12 in 330 s, less than W = 600 s
    readings = numbers(every(30, 330), lambda at: 0 if at < 180 else 12)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 330).value == 6


def test_after_w_only_the_samples_of_the_last_w_count():
    readings = numbers(every(60, 1800), lambda at: 100 if at < 1200 else 1)
    found = verdict_of(one_gate("mean_over", over_s=600), readings, 1800)

    assert (found.value, found.samples, found.state) == (1, 11, State.PASSING)


def test_a_sample_exactly_w_old_still_counts():
    readings = numbers(every(120, 1200), lambda at: 35 if at == 600 else 0)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 1200).value == pytest.approx(35 / 6)


def test_what_was_read_before_the_deploy_does_not_count():
    readings = numbers(every(30, 1200), lambda at: 100 if at < 1000 else 1)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 1200, started_at=1000).value == 1


def test_what_is_read_after_now_does_not_count():
    readings = numbers(every(30, 600), lambda at: 1 if at <= 300 else 100)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 300).value == 1


def test_a_mean_fails_where_a_median_does_not():
    readings = numbers(every(60, 600), lambda at: 100 if at == 300 else 1)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 600).state is State.FAILING
    assert verdict_of(one_gate("median_over", over_s=600), readings, 600).state is State.PASSING


def test_the_sentence_has_the_figure_the_span_and_the_limit():
    readings = numbers(every(60, 600), 6.5)
    found = verdict_of(one_gate("mean_over", over_s=600, unit="%"), readings, 600)

    assert found.reason == "Gate: the mean of 11 samples over the last 10 min is 6.5 %, above the limit of 5 %."


@pytest.mark.parametrize(("silent_until", "state"), [(900, State.FAILING), (901, State.UNDECIDED)])
def test_a_gap_of_more_than_three_intervals_is_undecided(silent_until, state):
    # slow schedule, 120 s: a gap of 360 s is allowed, of 361 s is not
    times = [*every(60, 540), *every(60, 1080, since=silent_until)]
    now = times[-1]

    assert verdict_of(one_gate("mean_over", over_s=900), numbers(times, 9), now).state is state


def test_a_gap_in_the_first_minutes_is_measured_by_the_fast_interval():
    times = [0, 30, 60, 151, 181, 211]

    assert verdict_of(one_gate("mean_over", over_s=600), numbers(times, 9), 211).state is State.UNDECIDED


def test_old_samples_alone_are_undecided():
    assert verdict_of(one_gate("mean_over", over_s=900), numbers(every(60, 600), 9), 961).state is State.UNDECIDED


# --- no data


@pytest.mark.parametrize("kind", ["mean_over", "median_over"])
def test_reads_that_fail_are_neither_a_pass_nor_a_failure(kind):
    found = verdict_of(one_gate(kind, over_s=600), numbers(every(30, 600), None), 600)

    assert (found.state, found.value) == (State.NO_DATA, None)


def test_failed_reads_among_good_ones_do_not_change_the_value():
    readings = numbers(every(30, 600), lambda at: None if at % 60 else 2)

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 600).value == 2


def test_a_value_that_is_no_number_is_no_data():
    readings = numbers(every(30, 600), float("nan"))

    assert verdict_of(one_gate("mean_over", over_s=600), readings, 600).state is State.NO_DATA


def test_before_the_first_look_nothing_is_decided():
    assert verdict_of(one_gate("mean_over", over_s=600), [], 60).state is State.UNDECIDED


def test_a_watch_at_which_nobody_looks_has_no_data():
    assert verdict_of(one_gate("mean_over", over_s=600), [], 91).state is State.NO_DATA


def test_no_data_says_for_how_long_and_why():
    found = verdict_of(one_gate("mean_over", over_s=600), numbers(every(30, 300), None), 300)

    assert found.reason == "Gate: no data for 5 min: null."


# --- instant


@pytest.mark.parametrize(
    ("values", "state"),
    [((1, 9), State.FAILING), ((9, 1), State.PASSING), ((1, None), State.UNDECIDED), ((9, None), State.UNDECIDED)],
)
def test_an_instant_gate_judges_the_last_read_alone(values, state):
    readings = [reading("number", 30 * index, value) for index, value in enumerate(values)]

    assert verdict_of(one_gate("instant"), readings, 30).state is state


def test_an_instant_gate_does_not_judge_an_old_read():
    assert verdict_of(one_gate("instant"), numbers([600], 9), 961).state is State.UNDECIDED


# --- ratio of two counters


def counters(times, bad, total, started_at=0.0):
    """Return what the error rate gate says of two counters told as functions of time."""
    readings = [reading(name, at, says(at)) for at in times for name, says in (("errors", bad), ("images", total))]
    return verdict_of(PRODUCTION, readings, times[-1], "error_rate", started_at)


def test_a_ratio_is_what_the_counters_gained_in_percent():
    found = counters([1200, 1320, 1440], lambda at: 500 + at / 60, lambda at: 9000 + at)

    assert found.value == pytest.approx(100 / 60)
    assert found.state is State.FAILING


def test_a_lost_read_of_a_counter_is_caught_up_by_the_next():
    whole = counters([1200, 1260, 1320, 1380, 1440], lambda at: (at - 1200) ** 2 / 5000, lambda at: at)
    holed = counters([1200, 1260, 1440], lambda at: (at - 1200) ** 2 / 5000, lambda at: at)

    assert whole.value == pytest.approx(holed.value)


def test_a_counter_that_fell_was_started_again_from_0():
    found = counters([0, 60, 120], lambda at: {0: 50, 60: 50, 120: 1}[at], lambda at: {0: 1000, 60: 1100, 120: 100}[at])

    assert found.value == pytest.approx(100 * 1 / 200)


def test_no_traffic_is_undecided():
    assert counters([0, 60, 120], lambda at: 0, lambda at: 7).state is State.UNDECIDED


def test_one_read_of_a_counter_says_nothing():
    assert counters([0], lambda at: 0, lambda at: 7).state is State.UNDECIDED


def test_only_moments_at_which_both_counters_were_read_count():
    readings = [reading("errors", 0, 0), reading("errors", 30, 5), reading("images", 30, 5), reading("images", 60, 9)]

    assert verdict_of(PRODUCTION, readings, 60, "error_rate").samples == 1
