"""A watch in virtual time: what would have happened under each fault."""

import json

import pytest

from monitoring.simulation import FaultError, parse, simulate

from .traces import DEMO, PRODUCTION, STAGING


def run(*faults, profile=PRODUCTION, seed=1):
    """Simulate a watch with faults as they are written."""
    return simulate(profile, [parse(fault, profile) for fault in faults], seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_window_passes_at_its_end(seed):
    report = run(seed=seed)

    assert (report.action, report.decided_at_s, report.alerts) == ("pass", 3600, ())


def test_a_healthy_hour_takes_39_looks():
    assert len(run().polls) == 39


@pytest.mark.parametrize(
    ("fault", "gate", "within_s"),
    [
        ("p95=3000ms@12m", "p95", 15 * 60),
        ("extraction=12%@5m", "extraction", 10 * 60),
        ("down@8m", "health", 3 * 60),
        ("queue=1500@20m", "queue", 2 * 60),
        ("slow-leak@5m", "p95", 35 * 60),
        ("slow-leak=queue@5m", "queue", 30 * 60),
    ],
)
def test_a_fault_is_rolled_back_by_its_gate_within(fault, gate, within_s):
    report = run(fault)
    began = parse(fault, PRODUCTION).at_s

    assert (report.action, report.gate) == ("rollback", gate)
    assert began < report.decided_at_s <= began + within_s


@pytest.mark.parametrize("fault", ["down=45s@8m", "p95=3000ms@12m+2m", "nodata=5m@10m", "p95=1900ms@12m"])
def test_what_ends_soon_or_stays_within_the_limit_passes(fault):
    assert run(fault).action == "pass"


@pytest.mark.parametrize("at", ["8m", "481s", "499s", "539s", "541s", "30s"])
def test_a_blip_of_45_s_never_rolls_back_whenever_it_comes(at):
    assert run(f"down=45s@{at}").action == "pass"


def test_no_data_for_good_is_extended_once_and_then_needs_a_decision():
    report = run("nodata@10m")

    assert (report.action, report.decided_at_s) == ("needs_decision", 5400)
    assert any("Extended once, by 30 min" in sentence for sentence in report.sentences)


def test_no_data_for_ten_minutes_makes_the_window_longer():
    report = run("nodata=10m@10m")

    assert report.action == "pass"
    assert report.decided_at_s > 3600 + 600


def test_an_error_rate_above_its_limit_alerts_and_passes():
    report = run("error_rate=3%@10m")

    assert report.action == "pass"
    assert [alert.partition(":")[2].partition(":")[0].strip() for alert in report.alerts] == ["Error rate"]


def test_staging_never_rolls_back():
    assert run("down@8m", "queue=9000@8m", profile=STAGING).action == "needs_decision"


def test_the_demo_finds_what_production_finds_forty_times_sooner():
    production, demo = run("p95=3000ms@20m"), run("p95=3000ms@30s", profile=DEMO)

    assert (demo.action, demo.gate) == (production.action, production.gate)
    assert demo.decided_at_s == pytest.approx(production.decided_at_s / 40)


def test_the_same_seed_gives_the_same_report():
    assert run("slow-leak@5m", seed=7) == run("slow-leak@5m", seed=7)


def test_another_seed_gives_other_noise():
    assert run(seed=7).polls != run(seed=8).polls


def test_near_the_limit_the_simulated_watch_looks_more_often():
    slow = [poll for poll in run("p95=1900ms@12m").polls if poll.at_s > 1800]

    assert {poll.next_s for poll in slow[:-1]} == {30}


def test_the_report_says_when_it_would_have_rolled_back_and_why():
    last = run("queue=1500@20m").sentences[-1]

    assert last == (
        "It would roll back 21 min after the deploy, 1 min after queue=1500@20m began: "
        "Low-confidence queue: now 1500 items, above the limit of 1000 items."
    )


def test_a_report_is_plain_json():
    assert json.loads(json.dumps(run("down@8m").to_dict()))["action"] == "rollback"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("down", "expected a moment after @"),
        ("down@soon", "expected a duration such as 45s, 12m or 1h, found 'soon'"),
        ("down@8", "expected a duration"),
        ("down=long@8m", "found 'long'"),
        ("p59=3000ms@12m", "unknown fault 'p59'. Possible: down@TIME"),
        ("p95@12m", "expected a number with or without 'ms'"),
        ("p95=3s@12m", "as in p95=2000ms, found '3s'"),
        ("slow-leak=health@5m", "unknown fault 'health'"),
        ("down@60m", "the window of 'production' is 60 min; begin within it"),
        ("", "expected a moment after @"),
    ],
)
def test_a_fault_written_wrong_says_what_is_possible(text, says):
    with pytest.raises(FaultError) as caught:
        parse(text, PRODUCTION)

    assert says in str(caught.value)
