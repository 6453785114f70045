"""Wires a rollout to GitHub: proves its links, reads the branch's protection, tells the sign-off, merges on request.

Everything that speaks to GitHub runs in a task or a command: outside of transactions, and never while a page waits.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import SYSTEM, Actor
from rollout import access, permits, pull_request, states, transitions
from rollout.component import LINKS
from rollout.github import checklist, checks, protection, pulls
from rollout.github.client import GitHub
from rollout.github.protection import Standing
from rollout.models import Component, EvidenceLink, Release, Rollout
from rollout.states import RolloutState as R

APPROVALS = 2  # what MISSION.md asks branch protection for
# state -> the commit status, and what it says; a draft has one only when its sign-off was void
STATUS = {
    R.WAITING: ("pending", "waits for its sign-off"),
    R.APPROVED: ("success", "signed off"),
    R.SUCCEEDED: ("success", "signed off, deployed and watched"),
    R.DRAFT: ("failure", "sign-off void"),
    R.REJECTED: ("failure", "rejected"),
    R.EXPIRED: ("failure", "sign-off expired"),
    R.SUPERSEDED: ("failure", "superseded"),
    R.CANCELLED: ("failure", "cancelled"),
    R.ROLLING_BACK: ("failure", "is being rolled back"),
    R.ROLLED_BACK: ("failure", "rolled back"),
}
MERGEABLE = frozenset({R.APPROVED, R.QUEUED, R.RUNNING, R.WATCHING, R.SUCCEEDED})
PROTECTION_STATES = {Standing.OK: "ok", Standing.MISSING: "failed", Standing.ERROR: "error"}


def github_of(component: Component) -> GitHub:
    """Return the component's repository as the token of the environment sees it; perhaps not configured."""
    return GitHub(
        settings.GR_GITHUB_TOKEN,
        repository=component.spec.repository,
        api_url=settings.GR_GITHUB_API_URL,
    )


def check_release(release: Release, *, now: datetime) -> None:
    """Ask GitHub about every link of a release and the protection of its branch, and keep what it said."""
    github = github_of(release.component)
    for link in release.links.filter(kind__in=LINKS):
        platform = link.kind.removeprefix("ci_")
        named = platform if platform in checks.PLATFORMS else None
        found = checks.check_run_link(github, link.url, commit=release.commit, platform=named)
        _keep(link, str(found.state), found.sentence, now)
    if github.configured:
        _check_protection(release, github, now)


def publish(rollout: Rollout, *, now: datetime) -> None:
    """Set the commit status to where the sign-off stands, and audit what came of it."""
    status = STATUS.get(R(rollout.state))
    if status is None or (rollout.state == R.DRAFT and rollout.sign_off is None):
        return
    github = github_of(rollout.target.component)
    if not github.configured:
        return
    seq, head = audit.head()
    state, words = status
    told = pulls.set_commit_status(
        github,
        rollout.release.commit,
        state,
        f"{words}; audit #{seq} {head[:12]}",
        # by environment: a sign-off for staging must not let anybody merge what waits for production
        context=f"{pulls.CONTEXT}/{rollout.target.environment.name}",
        target_url=transitions.url_of(rollout),
    )
    _audit(rollout, "github.status", by=SYSTEM, now=now, why=told.sentence, told=str(told.state), status=state)


def request_merge(rollout: Rollout, *, user: User, by: Actor, now: datetime) -> None:
    """Note that a person wants the pull request merged, if everything holds; a task does it. Raises Refused."""
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.OWNERS | access.DECIDERS)
    _require_open_to_merge(rollout, now=now)
    _audit(rollout, "github.merge_requested", by=by, now=now, why=checklist.MERGE_NOW)


def merge(rollout: Rollout, *, now: datetime) -> pulls.MergeResult:
    """Rebase and merge the pull request of the signed commit, if everything still holds, and audit what came of it."""
    github = github_of(rollout.target.component)
    try:
        _require_open_to_merge(rollout, now=now)
        result = _merge(rollout, github)
    except Refused as refusal:
        result = pulls.MergeResult(state=pulls.Told.REFUSED, sentence=str(refusal))
    _audit(
        rollout, "github.merge", by=SYSTEM, now=now, why=result.sentence, told=str(result.state), sha=result.sha or ""
    )
    return result


def _merge(rollout: Rollout, github: GitHub) -> pulls.MergeResult:
    number, head = rollout.release.pull_request, rollout.release.commit
    if number is None and github.configured:
        found = pulls.pull_for_commit(github, head)
        if found.pull is None:
            raise Refused(found.sentence)
        number = found.pull.number
    return pulls.merge(github, number or 0, head)


def _require_open_to_merge(rollout: Rollout, *, now: datetime) -> None:
    if rollout.state not in MERGEABLE:
        raise Refused(f"It is not merged: the rollout is {states.label(rollout.state)}.")
    open_points = checklist.open_points(pull_request.facts_of(rollout, now=now))
    if open_points:
        raise Refused(f"It is not merged: {'; '.join(open_points)}.")


def _check_protection(release: Release, github: GitHub, now: datetime) -> None:
    """Keep what protects the branch as a link to its settings.

    The link is part of the manifest, so it is not added any more while a rollout of the release is signed or under way.
    """
    spec = release.component.spec
    found = protection.judge_protection(
        protection.branch_protection(github, spec.branch), required_contexts=spec.ci_contexts, approvals=APPROVALS
    )
    worst = max((one.state for one in found), key=(Standing.OK, Standing.MISSING, Standing.ERROR).index)
    detail = "; ".join(one.sentence for one in found if one.state == worst)
    link = release.links.filter(kind="branch_protection").first()
    if link is None:
        if release.rollouts.exclude(state__in=[R.DRAFT, *states.FINAL]).exclude(state=R.VALIDATING).exists():
            return
        link = EvidenceLink.objects.create(
            release=release,
            kind="branch_protection",
            url=f"{github.web_url}/{github.repository}/settings/branches",
            added_by=release.created_by,
            via="system",
            added_at=now,
        )
    _keep(link, PROTECTION_STATES[worst], detail, now)


def _keep(link: EvidenceLink, state: str, detail: str, now: datetime) -> None:
    values = {"check_state": state, "check_detail": detail[:300], "checked_at": now}
    # the same link still: it may have been replaced while GitHub was asked
    EvidenceLink.objects.filter(pk=link.pk, url=link.url).update(**values)


def _audit(rollout: Rollout, action: str, *, by: Actor, now: datetime, why: str, **data: str) -> None:
    with audit.turn():
        subject = transitions.subject_of(rollout)
        audit.append(action=action, by=by, subject=subject, why=why, data=data, now=now)
