"""Read what protects a branch, and judge whether that is enough."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.github.client import NOT_CONFIGURED, GitHub, GitHubError, quoted


class Standing(StrEnum):
    """How one demand on GitHub stands."""

    OK = "ok"
    MISSING = "missing"  # read, and not there
    NOT_CONFIGURED = "not_configured"  # nothing to ask with
    ERROR = "error"  # could not be read: neither there nor missing


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One demand judged, and the sentence that says so."""

    state: Standing
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What classic protection and rulesets together demand of a branch; `problems` tells what could not be read."""

    branch: str
    configured: bool = True
    contexts: frozenset[str] = frozenset()
    approvals: int = 0
    code_owners: bool = False
    sources: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Part:
    contexts: frozenset[str] = frozenset()
    approvals: int = 0
    code_owners: bool = False


def branch_protection(github: GitHub, branch: str) -> Protection:
    """Return what protects `branch`, from classic protection and rulesets alike; what cannot be read is a problem."""
    if not github.configured:
        return Protection(branch=branch, configured=False)
    parts: dict[str, _Part] = {}
    problems = []
    for source, read in (("branch protection", _classic), ("rulesets", _rulesets)):
        try:
            part = read(github, branch)
        except GitHubError as problem:
            problems.append(f"{source} of {branch} could not be read: {problem.sentence}")
        else:
            if part is not None:
                parts[source] = part
    return Protection(
        branch=branch,
        contexts=frozenset[str]().union(*(part.contexts for part in parts.values())),
        approvals=max((part.approvals for part in parts.values()), default=0),
        code_owners=any(part.code_owners for part in parts.values()),
        sources=tuple(parts),
        problems=tuple(problems),
    )


def judge_protection(
    protection: Protection, *, required_contexts: Collection[str], approvals: int = 2, code_owners: bool = False
) -> list[Finding]:
    """Return a finding for each demand: the approvals, every CI context, and code owners' review if asked for.

    What is missing is an error instead, not a miss, when a part of the protection could not be read.
    """
    if not protection.configured:
        return [Finding(state=Standing.NOT_CONFIGURED, sentence=NOT_CONFIGURED)]
    branch = protection.branch
    found = [
        _judge(
            protection,
            protection.approvals >= approvals,
            f"{branch} requires {protection.approvals} approving reviews",
            f"{branch} requires {protection.approvals} approving reviews, {approvals} are expected",
        )
    ]
    for context in sorted(required_contexts):
        there = context in protection.contexts
        found.append(
            _judge(
                protection,
                there,
                f"{branch} requires the check {context!r}",
                f"{branch} does not require the check {context!r}; it requires {_listed(protection.contexts)}",
            )
        )
    if code_owners:
        ask = "the review of code owners (Ops/SRE by CODEOWNERS)"
        there = protection.code_owners
        found.append(_judge(protection, there, f"{branch} requires {ask}", f"{branch} does not require {ask}"))
    return found


def _judge(protection: Protection, holds: bool, good: str, bad: str) -> Finding:
    if holds:
        return Finding(state=Standing.OK, sentence=good)
    if protection.problems:
        unread = "; ".join(protection.problems)
        return Finding(state=Standing.ERROR, sentence=f"{bad}, as far as can be seen; {unread}")
    if not protection.sources:
        return Finding(state=Standing.MISSING, sentence=f"{bad}; the branch is not protected at all")
    return Finding(state=Standing.MISSING, sentence=bad)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"


def _classic(github: GitHub, branch: str) -> _Part | None:
    try:
        answer = github.call("GET", f"branches/{quoted(branch)}/protection")
    except GitHubError as problem:
        # The one 404 that is an answer. "Not Found" means that the token may not look (it needs Administration: read).
        if problem.status == 404 and problem.message == "Branch not protected":
            return None
        raise
    checks, reviews = _dict(answer, "required_status_checks"), _dict(answer, "required_pull_request_reviews")
    named = [one.get("context") for one in _list(checks, "checks")] + list(checks.get("contexts") or [])
    return _Part(
        contexts=_names(named),
        approvals=_count(reviews),
        code_owners=reviews.get("require_code_owner_reviews") is True,
    )


def _rulesets(github: GitHub, branch: str) -> _Part | None:
    rules = list(github.pages(f"rules/branches/{quoted(branch)}?per_page=100"))
    reviews = [_dict(rule, "parameters") for rule in rules if rule.get("type") == "pull_request"]
    checks = [_dict(rule, "parameters") for rule in rules if rule.get("type") == "required_status_checks"]
    if not reviews and not checks:
        return None
    named = [one.get("context") for rule in checks for one in _list(rule, "required_status_checks")]
    return _Part(
        contexts=_names(named),
        approvals=max((_count(rule) for rule in reviews), default=0),
        code_owners=any(rule.get("require_code_owner_review") is True for rule in reviews),
    )


def _dict(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _names(values: Iterable[object]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))


def _count(reviews: dict[str, Any]) -> int:
    count = reviews.get("required_approving_review_count")
    return count if isinstance(count, int) else 0
