"""component.toml -> frozen dataclasses; says exactly what is wrong with a bad one; pure."""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from approvals.rules import Policy, PolicyError
from monitoring import gates
from monitoring.gates import GateProfile, ProfileError
from monitoring.gates_values import LOOK_MAX_S
from monitoring.routes import SEVERITIES, Route
from rollout.component_target import place, read_commands, read_target, read_vars
from rollout.config_reader import ComponentError, Table
from rollout.target import TargetSpec

__all__ = ["Component", "ComponentError", "Environment", "parse", "sha256_of"]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
UPLOADS = ("release_archive", "premerge_artifacts", "monitor_logs")
LINKS = ("ci_ubuntu", "ci_macos", "ci_windows", "ci_premerge")
FROM_RUNS = (
    "backup",
    "deploy_dryrun",
    "migrate_dryrun",
    "postdeploy_smoketests",
    "test_logging",
    "golden",
    "secret_scan",
)
EVIDENCE = (*UPLOADS, *LINKS, *FROM_RUNS, "branch_protection")
DEFAULT_EVIDENCE = ("release_archive", "premerge_artifacts", *LINKS, *FROM_RUNS)
# So many days backups are kept where the environment does not say; anywhere else 3.
KEEP_DAYS = {"production": 30, "staging": 7}
CHANNELS = ("console", "file", "slack", "teams", "discord", "email", "webhook")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where the component runs: its target, its gates, how long its backups are kept (days), whose worker acts there.

    `runs_on` is the GR_HOST_ID of that worker; it is no part of the target, which is what people sign.
    """

    target: TargetSpec
    profile: GateProfile
    backup_keep_days: int
    runs_on: str

    @property
    def name(self) -> str:
        """Return the environment's name."""
        return self.target.environment


@dataclass(frozen=True, kw_only=True)
class Component:
    """A whole component.toml."""

    name: str
    title: str
    description: str
    repository: str
    branch: str
    runbooks: str
    requires_golden: bool
    owners: dict[str, str]
    environments: tuple[Environment, ...]
    policy: Policy
    evidence: tuple[str, ...]
    github: str
    ci_contexts: tuple[str, ...]
    routes: tuple[Route, ...]

    def environment(self, name: str) -> Environment:
        """Return the environment of that name; raise ComponentError when it is not declared."""
        for environment in self.environments:
            if environment.name == name:
                return environment
        known = ", ".join(environment.name for environment in self.environments)
        raise ComponentError(f"environments.{name}", f"one of {known}")

    def target(self, environment: str) -> TargetSpec:
        """Return how the component is changed in an environment."""
        return self.environment(environment).target


def sha256_of(text: str, gates_text: str) -> str:
    """Return the sha256 that names a configuration: both files, each with its length in front."""
    digest = hashlib.sha256()
    for part in (text.encode(), gates_text.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def gates_file(text: str) -> str:
    """Return the name of the gates file that a component.toml points at; raise ComponentError."""
    return Table(_toml(text), "").table("component").text("gates", default="quality-gates-config.json")


@lru_cache(maxsize=64)
def parse(text: str, *, gates_text: str, base: Path) -> Component:
    """Return the component that the text declares; relative paths stand beside the file, in `base`.

    Raises ComponentError, which names the key, what was expected and what was found.
    """
    root = Table(_toml(text), "")
    head = root.table("component")
    name = head.text("name")
    if not NAME.fullmatch(name):
        raise ComponentError("component.name", "lower-case letters, digits and hyphens, at most 60", name)
    values = read_vars(root.table("vars", required=False), base)
    commands = read_commands(root.table("commands"), values)
    environments = _environments(root.table("environments"), name, commands, values, _json(gates_text), base)
    requires_golden = head.flag("requires_golden", default=False)
    if requires_golden and "golden" not in commands:
        raise ComponentError("commands.golden", "an argv, because component.requires_golden is true")
    evidence, owners = root.table("evidence", required=False), root.table("owners", required=False)
    component = Component(
        name=name,
        title=head.text("title", default=name),
        description=head.text("description", default=" ").strip(),
        repository=head.text("repository", default=" ").strip(),
        branch=head.text("branch", default="main"),
        runbooks=place("./" + head.text("runbooks", default="runbooks"), base),
        requires_golden=requires_golden,
        owners={key: owners.text(key) for key in owners.data},
        environments=environments,
        policy=_policy(root.raw("policy", {}), requires_golden),
        evidence=_evidence(evidence, requires_golden),
        github=evidence.text("github", default="show", choices=("block", "show")),
        ci_contexts=evidence.texts("ci_contexts", default=("premerge",)),
        routes=_routes(root),
    )
    head.text("gates", default="-")
    for table in (head, evidence, root):
        table.close()
    return component


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ComponentError("component.toml", f"TOML ({error})")


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ComponentError("component.gates", f"a JSON object in the gates file ({error})")
    if not isinstance(data, dict):
        raise ComponentError("component.gates", "a JSON object in the gates file", data)
    return data


def _environments(
    table: Table,
    component: str,
    commands: dict[str, tuple[str, ...]],
    values: dict[str, str],
    gates_data: dict[str, Any],
    base: Path,
) -> tuple[Environment, ...]:
    found = []
    for name in table.data:
        entry = table.table(name)
        if not NAME.fullmatch(name):
            raise ComponentError(f"environments.{name}", "a name of lower-case letters, digits and hyphens")
        target = read_target(entry, component, name, commands, values, base)
        environment = Environment(
            target=target,
            profile=_profile(entry, gates_data, commands),
            backup_keep_days=entry.whole("backup_keep_days", default=KEEP_DAYS.get(name, 3), low=1, high=3650),
            runs_on=entry.text("runs_on", default="local"),
        )
        if not HOST.fullmatch(environment.runs_on):
            raise ComponentError(f"environments.{name}.runs_on", "the GR_HOST_ID of a host", environment.runs_on)
        entry.close()
        found.append(environment)
    if not found:
        raise ComponentError("environments", "at least one environment")
    return tuple(found)


def _profile(entry: Table, gates_data: dict[str, Any], commands: dict[str, tuple[str, ...]]) -> GateProfile:
    profile = entry.text("gates")
    try:
        bound = gates.bind(gates.from_config(gates_data, profile), commands)
    except ProfileError as error:
        raise ComponentError(f"{entry.name}.gates ({profile})", f"a valid gate profile: {error}")
    for source in bound.sources:
        if source.timeout_s > LOOK_MAX_S:
            where = f"{entry.name}.gates ({profile}): sources.{source.name}.timeout_s"
            raise ComponentError(where, f"at most {LOOK_MAX_S} seconds, found {source.timeout_s}")
    return bound


def _policy(data: Any, requires_golden: bool) -> Policy:
    if not isinstance(data, dict):
        raise ComponentError("policy", "a table", data)
    try:
        return Policy.from_dict({**data, "requires_golden": requires_golden})
    except PolicyError as error:
        raise ComponentError("policy", str(error))


def _evidence(table: Table, requires_golden: bool) -> tuple[str, ...]:
    default = DEFAULT_EVIDENCE if requires_golden else tuple(key for key in DEFAULT_EVIDENCE if key != "golden")
    required = table.texts("required", default=default)
    for key in required:
        if key not in EVIDENCE:
            raise ComponentError("evidence.required", f"keys of the checklist ({', '.join(EVIDENCE)})", key)
    return required


def _routes(root: Table) -> tuple[Route, ...]:
    routes = []
    for entry in root.table("notifications", required=False).tables("routes"):
        routes.append(
            Route(
                channel=entry.text("channel", choices=CHANNELS),
                min_severity=entry.text("min_severity", default="info", choices=SEVERITIES),
                events=entry.texts("events", default=("*",), at_least=1),
            )
        )
        entry.close()
    return tuple(routes) or (Route(channel="console"), Route(channel="file"))
