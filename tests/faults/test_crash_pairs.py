"""Two kills, the second while the first is being recovered from: every pair of named points."""

from tests.faults.harness.client import harness, told
from tests.faults.scale import FULL, seed


def test_a_kill_during_the_recovery_from_a_kill_is_recovered() -> None:
    report = harness().ask("pairs", "--seed", seed(), "--count", 0 if FULL else 12)
    assert report["found"] == {}, told(report)
