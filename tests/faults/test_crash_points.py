"""One kill at every point there is: each SQL statement, each commit, each named point of worker, runner and command."""

from tests.faults.harness.client import harness, told
from tests.faults.scale import FULL, seed


def test_a_kill_at_any_statement_is_recovered() -> None:
    report = harness().ask("statements", "--seed", seed(), "--stride", 1 if FULL else 5)
    assert report["found"] == {}, told(report)


def test_a_kill_at_any_named_point_is_recovered() -> None:
    report = harness().ask("names", "--seed", seed(), *(["--every"] if FULL else []))
    assert report["found"] == {}, told(report)
    # how often a point is reached depends a little on the moment at which an abort comes
    assert report["fired"] > 0.95 * report["trials"] - 2, "points were not reached"


def test_the_table_names_no_point_that_nothing_reaches() -> None:
    assert harness().ask("unreached")["failures"] == []
