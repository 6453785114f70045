"""Check that a link to a CI run leads to a successful run of the right commit on the right platform."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.github.client import NOT_CONFIGURED, GitHub, GitHubError

PLATFORMS = ("ubuntu", "macos", "windows")


class Link(StrEnum):
    """What became of a link that was checked."""

    OK = "ok"
    FAILED = "failed"
    PENDING = "pending"
    WRONG_COMMIT = "wrong_commit"
    WRONG_PLATFORM = "wrong_platform"
    WRONG_WORKFLOW = "wrong_workflow"
    NOT_FOUND = "not_found"  # no such run, or no link to a run of this repository
    NOT_CONFIGURED = "not_configured"
    ERROR = "error"  # GitHub could not be asked: neither proved nor disproved


@dataclass(frozen=True, kw_only=True)
class LinkCheck:
    """The outcome for one link; the run's numbers are there as soon as the run was found."""

    state: Link
    sentence: str
    run_id: int | None = None
    run_attempt: int | None = None
    conclusion: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunLink:
    """The parts of a link to a workflow run."""

    run_id: int
    attempt: int | None = None
    job_id: int | None = None


class _Refused(Exception):
    def __init__(self, state: Link, sentence: str) -> None:
        super().__init__(sentence)
        self.state = state
        self.sentence = sentence


def check_run_link(
    github: GitHub, url: str, *, commit: str, platform: str | None, workflow: str = "premerge.yml"
) -> LinkCheck:
    """Return whether `url` proves a successful run of `commit` (a full sha) on `platform`.

    `platform` None is the premerge-validation link: the run must then be of the file `workflow`. Judged is the latest
    attempt of the run, whichever attempt the link names, because a re-run may have failed since.
    """
    if not github.configured:
        return LinkCheck(state=Link.NOT_CONFIGURED, sentence=NOT_CONFIGURED)
    link = parse_run_link(url, repository=github.repository, web_url=github.web_url)
    if link is None:
        expected = f"{github.web_url}/{github.repository}/actions/runs/NUMBER"
        return LinkCheck(state=Link.NOT_FOUND, sentence=f"expected a link of the form {expected}")
    run: dict[str, Any] = {}
    try:
        run = _run(github, link)
        if platform is None:
            _demand_workflow(run, workflow)
        _demand_success(run, commit)
        if platform is not None or link.job_id is not None:
            _demand_jobs(github, link, platform)
    except _Refused as no:
        return _outcome(no.state, no.sentence, link, run)
    except GitHubError as problem:
        return _outcome(Link.ERROR, problem.sentence, link, run)
    where = f"on {platform}" if platform else f"of {workflow}"
    return _outcome(Link.OK, f"run {link.run_id} {where} succeeded for {commit[:12]}", link, run)


def parse_run_link(url: str, *, repository: str, web_url: str = "https://github.com") -> RunLink | None:
    """Return the parts of a link to a run of `repository`; None when it is anything else."""
    start = re.escape(f"{web_url}/{repository}")
    number = r"([1-9][0-9]{0,18})"
    shape = rf"{start}/actions/runs/{number}(?:/attempts/{number})?(?:/jobs?/{number})?/?(?:[?#]\S*)?"
    found = re.fullmatch(shape, url.strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        return None
    run_id, attempt, job_id = (int(part) if part else None for part in found.groups())
    return RunLink(run_id=run_id or 0, attempt=attempt, job_id=job_id)


def _outcome(state: Link, sentence: str, link: RunLink, run: dict[str, Any]) -> LinkCheck:
    attempt, conclusion = run.get("run_attempt"), run.get("conclusion")
    if link.attempt is not None and isinstance(attempt, int) and attempt > link.attempt:
        sentence += f" (judged by attempt {attempt}, the latest; the link names attempt {link.attempt})"
    return LinkCheck(state=state, sentence=sentence, run_id=link.run_id, run_attempt=attempt, conclusion=conclusion)


def _run(github: GitHub, link: RunLink) -> dict[str, Any]:
    try:
        run = github.call("GET", f"actions/runs/{link.run_id}")
    except GitHubError as problem:
        if problem.status == 404:
            raise _Refused(Link.NOT_FOUND, f"{github.repository} has no run {link.run_id}, or the token may not see it")
        raise
    if not isinstance(run, dict) or run.get("id") != link.run_id:
        raise GitHubError(f"GitHub answered with something else than run {link.run_id}")
    attempt = run.get("run_attempt")
    if link.attempt is not None and isinstance(attempt, int) and link.attempt > attempt:
        raise _Refused(Link.NOT_FOUND, f"run {link.run_id} has no attempt {link.attempt}")
    return run


def _demand_workflow(run: dict[str, Any], workflow: str) -> None:
    # GitHub may add the ref: ".github/workflows/premerge.yml@main".
    path = str(run.get("path") or "").split("@")[0]
    if path.rsplit("/", 1)[-1] != workflow:
        raise _Refused(Link.WRONG_WORKFLOW, f"expected a run of {workflow}, this one is of {path or 'no file'}")


def _demand_success(run: dict[str, Any], commit: str) -> None:
    head = str(run.get("head_sha") or "")
    if head.lower() != commit.lower() or not head:
        raise _Refused(Link.WRONG_COMMIT, f"expected a run of {commit[:12]}, this one is of {head[:12] or 'no commit'}")
    if run.get("status") != "completed":
        raise _Refused(Link.PENDING, f"the run is not finished; its status is {run.get('status')}")
    if run.get("conclusion") != "success":
        raise _Refused(Link.FAILED, f"the run ended with {run.get('conclusion')}, expected success")


def _demand_jobs(github: GitHub, link: RunLink, platform: str | None) -> None:
    jobs = list(github.pages(f"actions/runs/{link.run_id}/jobs?filter=latest&per_page=100", "jobs"))
    if link.job_id is not None:
        jobs = [job for job in jobs if job.get("id") == link.job_id]
        if not jobs:
            raise _Refused(Link.NOT_FOUND, f"run {link.run_id} has no job {link.job_id} in its latest attempt")
    if platform is not None:
        jobs = _jobs_on(jobs, platform)
    # `continue-on-error` lets a run succeed over a failed job, and a skipped job proves nothing.
    ended = [str(job.get("conclusion")) for job in jobs]
    bad = sorted(set(ended) - {"success", "skipped", "neutral"})
    if bad or "success" not in ended:
        where = f" on {platform}" if platform else ""
        told = ", ".join(bad or sorted(set(ended))) or "nothing"
        raise _Refused(Link.FAILED, f"expected the jobs{where} to succeed, they ended with {told}")


def _jobs_on(jobs: Sequence[dict[str, Any]], platform: str) -> list[dict[str, Any]]:
    found = [job for job in jobs if platform.lower() in job_platforms(job)]
    if not found:
        seen = ", ".join(sorted({name for job in jobs for name in job_platforms(job)})) or "no platform known here"
        raise _Refused(Link.WRONG_PLATFORM, f"no job of the run is on {platform}; they are on {seen}")
    return found


def job_platforms(job: dict[str, Any]) -> frozenset[str]:
    """Return the platforms that a job names: by its labels, else by its runner's name, else by its own name."""
    labels = job.get("labels")
    for texts in (labels if isinstance(labels, list) else [], [job.get("runner_name")], [job.get("name")]):
        said = " ".join(str(text) for text in texts if text).lower()
        named = frozenset(platform for platform in PLATFORMS if re.search(rf"(?<![a-z]){platform}", said))
        if named:
            return named
    return frozenset()
