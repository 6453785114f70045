"""A plan is data, the same facts give the same digest, and any change gives another."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout import component, plan
from rollout.plan import Facts
from rollout.target import TargetSpec
from tests.factories import COMMIT, GATES, TOML


def target(text: str = TOML) -> TargetSpec:
    return component.parse(text, gates_text=json.dumps(GATES), base=Path("/srv")).target("production")


def facts(**changed: Any) -> Facts:
    values: dict[str, Any] = {
        "component": "dhash",
        "environment": "production",
        "release": {"version": "1.1.0", "commit": COMMIT},
        "previous_version": "1.0.0",
        "target": target(),
        "gates": {},
        "tuning": [],
        "policy": {},
        "evidence": [{"kind": "backup"}, {"kind": "archive"}],
        "links": [],
        "migrations": ["0002.sql"],
        "runbooks": {"rollback": "ab"},
        "configuration": "cd",
        "reason": "customers wait",
        "requester": {"id": 1, "user": "rita"},
    }
    return Facts(**{**values, **changed})


def manifest(**changed: Any) -> dict[str, Any]:
    spec = target()
    return plan.manifest(
        facts(**changed),
        deploy_steps=plan.deploy(spec, "1.1.0", "releases/0001-1.1.0"),
        rollback_steps=plan.rollback("1.0.0"),
    )


CHANGES: dict[str, Any] = {
    "release": {"version": "1.1.0", "commit": "b" * 40},
    "previous_version": "0.9.0",
    "target": replace(target(), port=8104),
    "gates": {"p95": 1},
    "tuning": [{"name": "p95.limit"}],
    "policy": {"approvers": 1},
    "evidence": [{"kind": "backup"}],
    "links": [{"kind": "ci_ubuntu"}],
    "migrations": [],
    "runbooks": {"rollback": "ac"},
    "configuration": "ce",
    "reason": "another",
    "requester": {"id": 2, "user": "rolf"},
}


@pytest.mark.parametrize("part", sorted(CHANGES))
def test_a_change_of_any_part_is_another_digest_and_is_named(part: str) -> None:
    before, after = manifest(), manifest(**{part: CHANGES[part]})
    assert plan.digest(before) != plan.digest(after)
    assert plan.changed_parts(before, after) == (part,)


def test_the_order_in_which_evidence_was_found_does_not_matter() -> None:
    assert plan.digest(manifest()) == plan.digest(manifest(evidence=[{"kind": "archive"}, {"kind": "backup"}]))


def test_every_fact_but_none_is_left_out_of_the_manifest() -> None:
    assert set(CHANGES) | {"component", "environment", "plan", "format"} == set(manifest())


def test_a_target_survives_the_way_through_the_manifest() -> None:
    assert TargetSpec.from_dict(json.loads(json.dumps(manifest()["target"]))) == target()


def kinds(steps: tuple[plan.StepPlan, ...]) -> list[str]:
    return [step.kind for step in steps]


def test_the_migration_comes_before_the_switch() -> None:
    assert kinds(plan.deploy(target(), "1.1.0", "r"))[4:6] == ["migrate", "switch"]


def test_the_migration_comes_after_the_switch_when_the_component_says_so() -> None:
    after = target(TOML.replace("port = 8103", 'port = 8103\nmigrate = "after"'))
    assert kinds(plan.deploy(after, "1.1.0", "r"))[4:6] == ["switch", "migrate"]


def test_without_a_migrate_command_nothing_is_migrated() -> None:
    assert "migrate" not in kinds(plan.deploy(target(TOML.replace('migrate = ["true"]', "")), "1.1.0", "r"))


def test_a_backup_is_taken_before_the_first_effect() -> None:
    steps = plan.deploy(target(), "1.1.0", "r")
    first = next(number for number, step in enumerate(steps) if step.effect)
    assert "backup" in kinds(steps[:first])


def test_a_rollback_proves_equality_before_the_start() -> None:
    steps = plan.rollback("1.0.0")
    proof = next(number for number, step in enumerate(steps) if step.params.get("what") == "restored")
    assert kinds(steps).index("restore") < proof < kinds(steps).index("start")


def test_a_validate_run_changes_nothing() -> None:
    assert not any(step.effect for step in plan.validate(target(), "1.1.0"))


def test_the_golden_set_is_checked_when_it_is_declared() -> None:
    golden = target(TOML.replace('logging = ["true"]', 'logging = ["true"]\ngolden = ["true"]'))
    assert plan.validate(golden, "1.1.0")[-1].params["command"] == "golden"


def test_a_release_directory_is_the_same_for_every_attempt() -> None:
    assert plan.release_dir(7, "1.1.0") == "releases/0007-1.1.0"
