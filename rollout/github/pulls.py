"""Tell GitHub that sign-off is complete or void, find a commit's pull request, and merge it on request."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.github.client import NOT_CONFIGURED, GitHub, GitHubError

CONTEXT = "guarded-rollout/sign-off"
STATES = ("error", "failure", "pending", "success")
METHODS = ("merge", "squash", "rebase")


class Told(StrEnum):
    """What became of something that was asked of GitHub."""

    DONE = "done"
    REFUSED = "refused"  # GitHub answered no; nothing was changed
    UNKNOWN = "unknown"  # no answer came back; it may or may not have happened
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """Whether a commit status was set."""

    state: Told
    sentence: str


@dataclass(frozen=True, kw_only=True)
class MergeResult:
    """Whether a pull request was merged, and the commit that it became."""

    state: Told
    sentence: str
    sha: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request, as far as a rollout needs it."""

    number: int
    title: str
    url: str
    head_sha: str
    base: str
    open: bool


@dataclass(frozen=True, kw_only=True)
class PullLookup:
    """The pull request of a commit; `pull` is None when there is none, more than one, or no answer: see `sentence`."""

    pull: Pull | None
    sentence: str


def set_commit_status(
    github: GitHub, sha: str, state: str, description: str, *, context: str = CONTEXT, target_url: str = ""
) -> StatusResult:
    """Set a status on commit `sha`, so that branch protection can require it; the description is cut at 140 letters."""
    if state not in STATES:
        raise ValueError(f"expected one of {', '.join(STATES)}, got {state!r}")
    if not github.configured:
        return StatusResult(state=Told.NOT_CONFIGURED, sentence=NOT_CONFIGURED)
    status = {"state": state, "description": _cut(description, 140), "context": context}
    if target_url:
        status["target_url"] = target_url
    try:
        github.call("POST", f"statuses/{_sha(sha)}", status)
    except GitHubError as problem:
        return StatusResult(state=_told(problem), sentence=problem.sentence)
    return StatusResult(state=Told.DONE, sentence=f"status {context} of {sha[:12]} set to {state}")


def pull_for_commit(github: GitHub, sha: str) -> PullLookup:
    """Return the pull request whose head is `sha`, an open one before a closed one; else the only one that holds it."""
    try:
        found = [_pull(one) for one in github.pages(f"commits/{_sha(sha)}/pulls?per_page=100")]
    except GitHubError as problem:
        return PullLookup(pull=None, sentence=problem.sentence)
    at_head = [pull for pull in found if pull.head_sha.lower() == sha.lower()]
    for group in ([pull for pull in at_head if pull.open], at_head, found):
        if len(group) == 1:
            return PullLookup(pull=group[0], sentence=f"pull request #{group[0].number} holds {sha[:12]}")
        if group:
            numbers = ", ".join(f"#{pull.number}" for pull in group)
            return PullLookup(pull=None, sentence=f"{sha[:12]} is in more than one pull request: {numbers}")
    return PullLookup(pull=None, sentence=f"no pull request holds {sha[:12]}")


def merge(github: GitHub, pull_number: int, head_sha: str, method: str = "rebase") -> MergeResult:
    """Merge a pull request if its head is still `head_sha`; the caller has made sure that everything holds."""
    if method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}, got {method!r}")
    if not github.configured:
        return MergeResult(state=Told.NOT_CONFIGURED, sentence=NOT_CONFIGURED)
    try:
        answer = github.call("PUT", f"pulls/{pull_number}/merge", {"sha": _sha(head_sha), "merge_method": method})
    except GitHubError as problem:
        return _not_merged(github, pull_number, head_sha, method, problem)
    if not isinstance(answer, dict) or answer.get("merged") is not True:
        return MergeResult(state=Told.UNKNOWN, sentence=f"GitHub did not say that #{pull_number} was merged")
    sha = str(answer.get("sha") or "") or None
    return MergeResult(state=Told.DONE, sentence=f"pull request #{pull_number} merged by {method}", sha=sha)


def _not_merged(github: GitHub, number: int, head_sha: str, method: str, problem: GitHubError) -> MergeResult:
    if problem.status == 405:
        why = problem.message or "conflicts, missing checks or reviews, or a method that is not allowed"
        return MergeResult(state=Told.REFUSED, sentence=f"#{number} cannot be merged by {method} now: {why}")
    if problem.status == 409:
        why = f"#{number} is no longer at {head_sha[:12]}, the commit that was signed off; nothing was merged"
        return MergeResult(state=Told.REFUSED, sentence=why)
    if _told(problem) is Told.REFUSED:
        return MergeResult(state=Told.REFUSED, sentence=problem.sentence)
    try:
        github.call("GET", f"pulls/{number}/merge")  # 204 when it is merged, 404 when it is not, or not yet
    except GitHubError:
        why = f"{problem.sentence}; look at #{number} before trying again, it may have been merged"
        return MergeResult(state=Told.UNKNOWN, sentence=why)
    return MergeResult(state=Told.DONE, sentence=f"pull request #{number} is merged, though GitHub's answer was lost")


def _told(problem: GitHubError) -> Told:
    certain = problem.status is not None and problem.status < 500
    return Told.REFUSED if certain else Told.UNKNOWN


def _pull(raw: dict[str, Any]) -> Pull:
    head, base = raw.get("head"), raw.get("base")
    return Pull(
        number=int(raw.get("number") or 0),
        title=str(raw.get("title") or ""),
        url=str(raw.get("html_url") or ""),
        head_sha=str(head.get("sha") or "") if isinstance(head, dict) else "",
        base=str(base.get("ref") or "") if isinstance(base, dict) else "",
        open=raw.get("state") == "open",
    )


def _sha(text: str) -> str:
    if len(text) not in (40, 64) or set(text.lower()) - set("0123456789abcdef"):
        raise ValueError(f"expected a full commit sha of 40 or 64 hex digits, got {text[:80]!r}")
    return text.lower()


def _cut(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
