"""What a run will do, as data, and the manifest that is signed; pure. THIS IS WHAT IS SIGNED."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring import canonical
from rollout.target import TargetSpec

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """One unit of a run: what is done, whether it changes the target, how long it may take (seconds)."""

    kind: str
    title: str
    effect: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    timeout_s: int = 300

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that canonical JSON can hold."""
        return {
            "kind": self.kind,
            "title": self.title,
            "effect": self.effect,
            "params": self.params,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a rollout rests on; the lists hold canonical dictionaries."""

    component: str
    environment: str
    release: dict[str, Any]
    previous_version: str
    target: TargetSpec
    gates: dict[str, Any]
    tuning: list[dict[str, Any]]
    policy: dict[str, Any]
    evidence: list[dict[str, Any]]
    links: list[dict[str, Any]]
    migrations: list[str]
    runbooks: dict[str, str]
    configuration: str
    reason: str
    requester: dict[str, Any]


def validate(target: TargetSpec, version: str) -> tuple[StepPlan, ...]:
    """Return the steps that prove a rollout without changing the target."""
    rehearsal = {"on": "rehearsal", "version": version}
    steps = [
        StepPlan(kind="preflight", title="Health, disk space and archive checked", timeout_s=60),
        StepPlan(kind="scan", title="Release archive scanned for committed keys and webhooks", timeout_s=120),
        StepPlan(kind="backup", title="Backup taken and read back whole", timeout_s=3600),
        StepPlan(kind="rehearse", title="Backup restored in a scratch place and started there", timeout_s=1800),
        StepPlan(kind="dry_run", title="Deploy dry run", params={"what": "deploy", "version": version}, timeout_s=900),
        StepPlan(
            kind="dry_run",
            title="Migration dry run on a copy of the database",
            params={"what": "migrate", "version": version},
            timeout_s=900,
        ),
        StepPlan(kind="check", title="Smoke tests on the rehearsed release", params={"command": "smoke", **rehearsal}),
        StepPlan(kind="check", title="Log format checked", params={"command": "logging", **rehearsal}),
    ]
    if "golden" in target.commands:
        steps.append(
            StepPlan(kind="check", title="Golden set checked", params={"command": "golden", **rehearsal}, timeout_s=600)
        )
    return tuple(steps)


def deploy(target: TargetSpec, version: str, release_dir: str) -> tuple[StepPlan, ...]:
    """Return the steps that put the release on the target; the last one watches it."""
    params = {"version": version, "release_dir": release_dir}
    migrate = StepPlan(kind="migrate", title="Migrate the database", effect=True, params=params, timeout_s=900)
    switch = StepPlan(kind="switch", title=f"Switch to {version} and reload", effect=True, params=params, timeout_s=120)
    changes = [switch, migrate] if target.migrate == "after" else [migrate, switch]
    if "migrate" not in target.commands:
        changes = [switch]
    live = {"on": "live", "version": version}
    return (
        StepPlan(kind="preflight", title="Health, disk space and archive checked", timeout_s=60),
        StepPlan(kind="backup", title="Fresh backup taken and read back whole", timeout_s=3600),
        StepPlan(
            kind="dry_run", title="Dry run once more", params={"what": "deploy", "version": version}, timeout_s=900
        ),
        StepPlan(kind="stage", title=f"Stage {version} beside the live release", params=params, timeout_s=600),
        *changes,
        StepPlan(kind="check", title="Smoke tests on the live service", params={"command": "smoke", **live}),
        StepPlan(kind="watch", title="Watch the gates", timeout_s=0),
    )


def rollback(previous_version: str) -> tuple[StepPlan, ...]:
    """Return the steps that bring back the state that a backup holds, in the order of DESIGN.md section 4."""
    live = {"on": "live", "version": previous_version}
    return (
        StepPlan(kind="verify", title="Backup read back whole", params={"what": "backup"}, timeout_s=1800),
        StepPlan(kind="stop", title="Writers stopped", effect=True, timeout_s=300),
        StepPlan(kind="backup", title="Undo copy of the state that is left", params={"undo": True}, timeout_s=3600),
        StepPlan(kind="restore", title="Code, database and configuration restored", effect=True, timeout_s=3600),
        StepPlan(
            kind="verify", title="Every file equal to the backup by sha256", params={"what": "restored"}, timeout_s=1800
        ),
        StepPlan(kind="start", title=f"Service started with {previous_version}", effect=True, timeout_s=120),
        StepPlan(
            kind="verify",
            title="3 consecutive health checks",
            params={"what": "health", "version": previous_version},
            timeout_s=300,
        ),
        StepPlan(kind="check", title="Smoke tests again", params={"command": "smoke", **live}),
    )


def release_dir(rollout_id: int, version: str) -> str:
    """Return where a rollout's release stands under the target's root; the same for every attempt."""
    return f"releases/{rollout_id:04d}-{version}"


def manifest(facts: Facts, *, deploy_steps: Sequence[StepPlan], rollback_steps: Sequence[StepPlan]) -> dict[str, Any]:
    """Return the canonical dictionary of all that will happen and all that it rests on."""
    return {
        "format": FORMAT,
        "component": facts.component,
        "environment": facts.environment,
        "release": facts.release,
        "previous_version": facts.previous_version,
        "reason": facts.reason,
        "requester": facts.requester,
        "evidence": sorted(facts.evidence, key=lambda item: str(item["kind"])),
        "links": sorted(facts.links, key=lambda item: str(item["kind"])),
        "plan": {
            "deploy": [step.to_dict() for step in deploy_steps],
            "rollback": [step.to_dict() for step in rollback_steps],
        },
        "target": facts.target.to_dict(),
        "migrations": facts.migrations,
        "gates": facts.gates,
        "tuning": facts.tuning,
        "policy": facts.policy,
        "runbooks": facts.runbooks,
        "configuration": facts.configuration,
    }


def digest(document: dict[str, Any]) -> str:
    """Return the sha256 that a decision binds."""
    return canonical.digest(document)


def changed_parts(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the top-level parts in which two manifests differ."""
    return tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
