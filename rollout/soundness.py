"""Refuses a configuration that reads well but would destroy data or can never work: places, addresses, roles."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from approvals.policy import Policy
from rollout import access
from rollout.component import Component, ComponentError, Environment

LOCAL_NAMES = {"localhost": "127.0.0.1", "::1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104
LEAST_PARTS = 3  # "/", "srv", "dhash": a first-level directory belongs to the system


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A target's root as the disk of its host has it, and the address that it answers on."""

    name: str
    runs_on: str
    root: Path
    address: tuple[str, int]


def check(spec: Component, *, file: Path, kept: Iterable[Path], others: Iterable[Component]) -> None:
    """Raise ComponentError, which names the key, for a component that must not be put in force.

    `file` is its component.toml, `kept` the directories of our own, `others` what is in force of other components.
    """
    places = [_place(one) for one in spec.environments]
    untouchable = {Path.home().resolve(), file.resolve(), *(path.resolve() for path in kept)}
    for place in places:
        _check_root(place, untouchable)
    for one, other in combinations(places, 2):
        _check_apart(other, one)
    taken = [_place(environment) for other in others for environment in other.environments]
    for place in places:
        for one in taken:
            _check_apart(place, one)
    _check_roles(spec.policy)


def _place(environment: Environment) -> _Place:
    target = environment.target
    host = target.host.casefold()
    root = Path(os.path.realpath(target.root))
    known = LOCAL_NAMES.get(host, host)
    if known in LOCAL_NAMES.values():
        known = f"{known} of {environment.runs_on}"
    return _Place(name=target.name, runs_on=environment.runs_on, root=root, address=(known, target.port))


def _key(place: _Place, what: str) -> str:
    return f"environments.{place.name.rpartition('/')[2]}.{what}"


def _check_root(place: _Place, untouchable: Iterable[Path]) -> None:
    if len(place.root.parts) < LEAST_PARTS:
        raise ComponentError(
            _key(place, "root"), "a directory of this environment's own, at least two levels deep", str(place.root)
        )
    for path in untouchable:
        if path.is_relative_to(place.root):
            expected = f"a directory of this environment's own, which does not hold {path}"
            raise ComponentError(_key(place, "root"), expected, str(place.root))


def _check_apart(place: _Place, other: _Place) -> None:
    """Refuse to share a directory or an address: a deploy, backup or rollback of one would change the other."""
    same_disk = place.runs_on == other.runs_on
    if same_disk and (place.root.is_relative_to(other.root) or other.root.is_relative_to(place.root)):
        expected = f"a directory apart from that of {other.name} ({other.root})"
        raise ComponentError(_key(place, "root"), expected, str(place.root))
    if place.address == other.address:
        raise ComponentError(_key(place, "port"), f"a host and port that {other.name} does not use", place.address[1])


def _check_roles(policy: Policy) -> None:
    named: dict[str, Sequence[str]] = {
        "approver_groups": policy.approver_groups,
        "required_within": [role for role, _ in policy.required_within],
        "plus": [role for role, _ in policy.plus],
        "golden_group": [policy.golden_group],
        "starter_groups": policy.starter_groups,
    }
    for key, roles in named.items():
        for role in roles:
            if role not in access.GROUPS:
                raise ComponentError(f"policy.{key}", f"roles out of {', '.join(access.GROUPS)}", role)
