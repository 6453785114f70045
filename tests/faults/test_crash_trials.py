"""Trials by chance: three deliveries at once, up to three kills of whatever is alive, the real engine and runner."""

from pathlib import Path

from tests.faults.harness.client import harness, told
from tests.faults.scale import count, seed

REGRESSIONS = Path(__file__).with_name("regressions.txt")


def test_no_kill_doubles_an_effect_or_loses_a_run() -> None:
    report = harness().ask("random", "--seed", seed(), "--count", count(300, 20_000))
    assert report["fired"] > report["trials"] / 2, "hardly anything was killed"
    assert report["found"] == {}, told(report)


def test_what_was_found_once_stays_mended() -> None:
    report = harness().ask("replay", "--lines", REGRESSIONS)
    assert report["found"] == {}, told(report)
