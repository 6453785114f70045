"""Tuning within bounds, and the difference that approvers see."""

from dataclasses import replace
from decimal import Decimal

import pytest

from monitoring.gates import ProfileError, diff, tune

from .traces import PRODUCTION


def changed_gate(name: str, **changes):
    """Return production with one gate changed."""
    gates = tuple(replace(gate, **changes) if gate.name == name else gate for gate in PRODUCTION.gates)
    return replace(PRODUCTION, gates=gates)


def test_a_limit_is_tuned_within_its_bounds():
    tuned = tune(PRODUCTION, {"p95.limit": "2500"})

    assert [gate.limit for gate in tuned.gates if gate.name == "p95"] == [2500]


@pytest.mark.parametrize("edge", [500, 4000])
def test_both_ends_of_the_bounds_are_allowed(edge):
    assert tune(PRODUCTION, {"p95.limit": edge}) != PRODUCTION


@pytest.mark.parametrize("beyond", ["4000.01", 499, 0])
def test_beyond_the_bounds_is_refused_with_the_bounds(beyond):
    with pytest.raises(ProfileError, match=r"p95\.limit: expected a number from 500 to 4000"):
        tune(PRODUCTION, {"p95.limit": beyond})


@pytest.mark.parametrize("key", ["interval_s", "p95.severity", "health.limit", "nothing", "p95"])
def test_what_has_no_bounds_cannot_be_tuned(key):
    with pytest.raises(ProfileError, match="one of the tunable numbers"):
        tune(PRODUCTION, {key: 1})


def test_a_tuning_that_is_no_number_is_refused():
    with pytest.raises(ProfileError, match="window_s: expected a number"):
        tune(PRODUCTION, {"window_s": "long"})


def test_a_tuned_profile_keeps_its_bounds():
    assert tune(PRODUCTION, {"window_s": 7200}).bounds == PRODUCTION.bounds


def test_no_tuning_is_no_difference():
    assert diff(PRODUCTION, tune(PRODUCTION, {})) == []


def test_the_same_number_written_otherwise_is_no_difference():
    assert diff(PRODUCTION, tune(PRODUCTION, {"p95.limit": "2000.0"})) == []


@pytest.mark.parametrize(
    ("changes", "name", "looser"),
    [
        ({"p95.limit": 2500}, "gates.p95.limit", True),
        ({"p95.limit": 1500}, "gates.p95.limit", False),
        ({"extraction.over_s": 1200}, "gates.extraction.over_s", True),
        ({"extraction.over_s": 300}, "gates.extraction.over_s", False),
        ({"window_s": 1800}, "window_s", True),
        ({"window_s": 7200}, "window_s", False),
    ],
)
def test_a_tuning_says_which_way_it_leans(changes, name, looser):
    assert [(found.name, found.looser) for found in diff(PRODUCTION, tune(PRODUCTION, changes))] == [(name, looser)]


def test_a_difference_shows_both_values():
    (found,) = diff(PRODUCTION, tune(PRODUCTION, {"p95.limit": 2500}))

    assert (found.before, found.after) == ("2000", "2500")


def test_a_weaker_severity_is_looser():
    (found,) = diff(PRODUCTION, changed_gate("p95", severity="alert"))

    assert (found.name, found.looser) == ("gates.p95.severity", True)


def test_a_stronger_severity_is_not_looser():
    (found,) = diff(changed_gate("p95", severity="alert"), PRODUCTION)

    assert not found.looser


def test_a_gate_taken_away_is_looser():
    without = replace(PRODUCTION, gates=tuple(gate for gate in PRODUCTION.gates if gate.name != "p95"))

    assert all(found.looser and found.after == "absent" for found in diff(PRODUCTION, without))
    assert not any(found.looser for found in diff(without, PRODUCTION))


def test_another_path_measures_something_else_and_so_may_be_looser():
    sources = tuple(replace(source, path="/other") if source.name == "p95" else source for source in PRODUCTION.sources)
    (found,) = diff(PRODUCTION, replace(PRODUCTION, sources=sources))

    assert (found.name, found.looser) == ("sources.p95.path", True)


def test_another_title_is_shown_but_not_looser():
    (found,) = diff(PRODUCTION, changed_gate("p95", title="Slowness"))

    assert (found.after, found.looser) == ("Slowness", False)


def test_wider_near_share_is_looser():
    (found,) = diff(PRODUCTION, replace(PRODUCTION, near_share=Decimal("0.95")))

    assert found.looser
