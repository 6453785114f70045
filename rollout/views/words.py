"""Says policy, gates and notification routes in sentences, as the component page prints them."""

from collections.abc import Iterable
from typing import NamedTuple

from approvals.rules import Policy
from monitoring.gates import Gate, GateProfile, Source
from monitoring.routes import Route
from monitoring.wording import duration, figure

NUMBERS = ("no", "one", "two", "three", "four", "five")
SEVERITIES = {"rollback": "rolls back", "pause": "asks a person", "alert": "alerts"}


class GateWords(NamedTuple):
    """One gate in words."""

    title: str
    rule: str
    effect: str
    severity: str


def policy_words(policy: Policy) -> list[str]:
    """Return the policy as sentences."""
    said = [f"{_count(policy.approvers).capitalize()} from {_either(policy.approver_groups)} must approve."]
    said += [f"At least {_count(count)} of them must be {role}." for role, count in policy.required_within]
    said += [f"In addition {_count(count)} {role} must sign." for role, count in policy.plus]
    if policy.requires_golden:
        also = " (who may be one of the approvers)" if policy.golden_may_approve else ""
        said.append(f"One {policy.golden_group} must sign for the golden check{also}.")
    if policy.distinct:
        said.append("Nobody fills two of these seats.")
    said.append(f"These cannot approve: {', '.join(policy.barred_duties)}.")
    if policy.unmatched_author == "refuse":
        said.append("A commit author whom no user matches stops the sign-off.")
    else:
        said.append("A commit author whom no user matches is shown to the approvers.")
    if not policy.last_approver_may_start:
        said.append("Whoever approves last cannot be the one who starts.")
    if policy.barred_from_start:
        said.append(f"These cannot start it: {', '.join(policy.barred_from_start)}.")
    if not policy.delegation:
        said.append("Nobody approves on behalf of another.")
    said.append(f"A sign-off is good for {duration(policy.expires_s)}.")
    return said


def profile_words(profile: GateProfile) -> list[str]:
    """Return how a profile looks: its window and its intervals."""
    fast = f"every {duration(profile.fast_interval_s)} for the first {duration(profile.fast_for_s)}"
    return [
        f"Watched for {duration(profile.window_s)} after the deploy.",
        f"Looks {fast}, then every {duration(profile.interval_s)}; faster again when a value comes near its limit.",
        f"Passes only when every rollback gate was observed for {_percent(profile.observed_share)} of the window.",
    ]


def gates_words(profile: GateProfile) -> list[GateWords]:
    """Return every gate of a profile in words."""
    return [
        GateWords(gate.title, _rule(gate, profile.source(gate.source)), SEVERITIES[gate.severity], gate.severity)
        for gate in profile.gates
    ]


def route_words(routes: Iterable[Route]) -> list[tuple[str, str]]:
    """Return each channel with what it is told."""
    return [(route.channel, _told(route)) for route in routes]


def _rule(gate: Gate, source: Source) -> str:
    limit = figure(gate.limit, gate.unit or source.unit)
    if gate.kind == "consecutive_failures":
        return f"more than {figure(gate.limit)} failed checks in a row"
    if gate.kind == "instant":
        return f"above {limit}"
    how = {"mean_over": "mean", "median_over": "median", "ratio_over": "ratio"}[gate.kind]
    return f"{how} above {limit} over {duration(gate.over_s)}"


def _told(route: Route) -> str:
    what = "everything" if "*" in route.events else ", ".join(name.replace("_", " ") for name in route.events)
    return what if route.min_severity == "info" else f"{what}, from {route.min_severity} on"


def _count(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)


def _percent(share: object) -> str:
    return f"{figure(float(str(share)) * 100)} %"
