"""The gates file and the profile that it becomes."""

import copy
import json
from decimal import Decimal

import pytest

from monitoring import canonical
from monitoring.gates import GateProfile, ProfileError, bind, from_config

from .traces import CONFIG, DEMO, PRODUCTION, STAGING


def changed(path: str, value: object, profile: str = "production") -> dict:
    """Return the example file with one key set; the path is relative to the profile."""
    data = copy.deepcopy(CONFIG)
    *holders, last = path.split(".")
    table = data["profiles"][profile]
    for holder in holders:
        table = table[holder]
    if value is ...:
        del table[last]
    else:
        table[last] = value
    return data


def gate(profile: GateProfile, name: str):
    return next(gate for gate in profile.gates if gate.name == name)


@pytest.mark.parametrize(
    ("name", "kind", "limit", "over_s", "severity"),
    [
        ("health", "consecutive_failures", 2, 0, "rollback"),
        ("extraction", "mean_over", 5, 600, "rollback"),
        ("p95", "median_over", 2000, 900, "rollback"),
        ("queue", "instant", 1000, 0, "rollback"),
        ("error_rate", "ratio_over", 1, 300, "alert"),
        ("cpu", "ratio_over", 80, 300, "alert"),
        ("memory", "instant", 85, 0, "alert"),
        ("disk", "instant", 90, 0, "alert"),
    ],
)
def test_production_has_the_defaults_of_the_mission(name, kind, limit, over_s, severity):
    found = gate(PRODUCTION, name)

    assert (found.kind, found.limit, found.over_s, found.severity) == (kind, limit, over_s, severity)


def test_production_watches_an_hour_every_30_s_for_5_minutes_and_then_every_120_s():
    schedule = (PRODUCTION.window_s, PRODUCTION.fast_interval_s, PRODUCTION.fast_for_s, PRODUCTION.interval_s)

    assert schedule == (3600, 30, 300, 120)
    assert PRODUCTION.source("health").timeout_s == 10


def test_staging_only_alerts_for_half_an_hour_with_laxer_limits():
    assert {found.severity for found in STAGING.gates} == {"alert"}
    assert STAGING.window_s == 1800
    for name in ("health", "extraction", "p95", "queue"):
        assert gate(STAGING, name).limit > gate(PRODUCTION, name).limit


def divided(value, key=""):
    """Divide every duration of a profile as `to_dict` writes it by 40."""
    if isinstance(value, dict):
        return {inner: divided(item, inner) for inner, item in value.items()}
    if isinstance(value, list) and key.endswith("_s"):
        return [canonical.number(Decimal(str(item)) / 40) for item in value]
    if isinstance(value, list):
        return [divided(item) for item in value]
    if key.endswith("_s") and key != "timeout_s":
        return canonical.number(Decimal(str(value)) / 40)
    return value


def test_demo_is_production_with_every_duration_but_the_time_out_divided_by_40():
    named = {"name": "demo", "title": DEMO.title}

    assert divided(PRODUCTION.to_dict()) | named == DEMO.to_dict()
    assert DEMO.window_s == 90


def test_a_divided_profile_may_change_nothing_else():
    with pytest.raises(ProfileError, match=r"profiles\.demo.near_share: expected one of the keys"):
        from_config(changed("near_share", 0.9, "demo"), "demo")


@pytest.mark.parametrize("name", ["production", "staging", "canary", "demo"])
def test_a_profile_survives_canonical_json(name):
    profile = from_config(CONFIG, name)

    assert GateProfile.from_dict(json.loads(canonical.dumps(profile.to_dict()))) == profile


@pytest.mark.parametrize(
    ("path", "value", "where", "expected"),
    [
        ("window", 3600, "profiles.production.window", "one of the keys"),
        ("gates.p95.limt", 5, "profiles.production.gates.p95.limt", "one of the keys"),
        ("sources.p95.kind", "jsonmetric", "profiles.production.sources.p95.kind", "one of http, json_metric"),
        ("window_s", ..., "profiles.production.window_s", "a number of at least 0"),
        ("window_s", 0, "profiles.production.window_s", "a number above 0"),
        ("window_s", True, "profiles.production.window_s", "a number of at least 0"),
        ("window_s", "an hour", "profiles.production.window_s", "a number of at least 0"),
        ("window_s", float("nan"), "profiles.production.window_s", "a number of at least 0"),
        ("interval_s", 10, "profiles.production", "fast_interval_s <= interval_s <= window_s"),
        ("near_share", 1.2, "profiles.production.near_share", "a share above 0 and at most 1"),
        ("gates.p95.min_samples", 2.5, "profiles.production.gates.p95.min_samples", "a whole number of at least 1"),
        ("gates.p95.limit", -1, "profiles.production.gates.p95.limit", "a number of at least 0"),
        ("gates.p95.source", "p59", "profiles.production.gates.p95.source", "one of the sources"),
        ("gates.p95.source", "health", "profiles.production.gates.p95.kind", "consecutive_failures for a check"),
        ("gates.p95.over_s", ..., "profiles.production.gates.p95.over_s", "a duration"),
        ("gates.queue.over_s", 60, "profiles.production.gates.queue.over_s", "a duration"),
        ("gates.cpu.per", ..., "profiles.production.gates.cpu.per", "the counter to divide by"),
        ("gates.cpu.per", "cpu", "profiles.production.gates.cpu.per", "one of the sources"),
        ("gates.p95.title", 7, "profiles.production.gates.p95.title", "a text"),
        ("gates", {}, "profiles.production.gates", "at least one"),
        ("sources", [], "profiles.production.sources", "a table"),
        ("base", "production", "profiles.production.base", "a base that does not lead back"),
        ("base", "prod", "profiles.prod", "one of the profiles canary, demo, production, staging"),
    ],
)
def test_a_wrong_key_is_named_with_what_was_expected(path, value, where, expected):
    with pytest.raises(ProfileError) as caught:
        from_config(changed(path, value), "production")

    assert caught.value.where == where
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize("pair", [[1], 5, [3000, 4000], [2500, 500]])
def test_bounds_must_be_a_pair_that_holds_the_value(pair):
    with pytest.raises(ProfileError, match=r"bounds\.p95\.limit: expected"):
        from_config(changed("bounds", {"p95.limit": pair}), "production")


def test_bounds_of_something_that_is_not_there_are_refused():
    with pytest.raises(ProfileError, match=r"bounds\.p59\.limit: expected one of window_s, health\.limit"):
        from_config(changed("bounds", {"p59.limit": [1, 2]}), "production")


def test_an_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(ProfileError, match="one of the profiles canary, demo, production, staging, found 'prod'"):
        from_config(CONFIG, "prod")


def test_the_component_commands_are_bound_into_log_and_golden_sources():
    data = changed("sources.golden", {"title": "Golden set", "kind": "golden"})
    data["profiles"]["production"]["sources"]["logging"] = {"title": "Log", "kind": "log"}

    bound = bind(from_config(data, "production"), {"golden": ["check", "golden"], "logging": ["check", "log"]})

    assert bound.source("golden").argv == ("check", "golden")
    assert bound.source("logging").argv == ("check", "log")


def test_a_golden_source_without_its_command_is_refused():
    data = changed("sources.golden", {"title": "Golden set", "kind": "golden"})

    with pytest.raises(ProfileError, match=r"sources\.golden: expected a component command 'golden'"):
        bind(from_config(data, "production"), {})
