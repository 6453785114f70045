"""What goes in and what comes out, as JSON."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema

from rollout import evidence, states
from rollout.checklist import Item, missing
from rollout.models import Artifact, EvidenceLink, Release, Rollout, Run


class CommitIn(Schema):
    """A commit since the live version."""

    sha: str = Field(max_length=40)
    author: str = Field(max_length=150)
    email: str = Field(max_length=150)
    subject: str = Field("", max_length=300)


class ReleaseIn(Schema):
    """A new release."""

    version: str = Field(max_length=60)
    commit: str = Field(description="all 40 hexadecimal digits, lower case")
    branch: str = Field("main", max_length=120)
    pull_request: int | None = Field(None, ge=1)
    commits: list[CommitIn] = Field(default_factory=list, max_length=500)
    notes: str = Field("", max_length=10_000)


class LinkIn(Schema):
    """A link to a CI run."""

    kind: str = Field(description="ci_ubuntu, ci_macos, ci_windows or ci_premerge")
    url: str = Field(max_length=300)


class Problem(Schema):
    """An answer that is no success."""

    error: str
    expected: str
    winner: dict[str, Any] | None = None


def release(one: Release) -> dict[str, Any]:
    """Return a release with its evidence."""
    own = one.artifacts.filter(rollout=None, replaced_at=None)
    return {
        "id": one.pk,
        "component": one.component.name,
        "version": one.version,
        "commit": one.commit,
        "branch": one.branch,
        "pull_request": one.pull_request,
        "created_at": moment(one.created_at),
        "artifacts": [artifact(row) for row in own],
        "links": [link(row) for row in one.links.all()],
        "checklist": checklist(evidence.release_checklist(one)),
    }


def artifact(one: Artifact) -> dict[str, Any]:
    """Return an artifact."""
    return {
        "id": one.pk,
        "kind": one.kind,
        "name": one.name,
        "sha256": one.sha256,
        "size": one.size,
        "created_at": moment(one.created_at),
    }


def link(one: EvidenceLink) -> dict[str, Any]:
    """Return a link and what GitHub said of it."""
    return {
        "kind": one.kind,
        "url": one.url,
        "check": one.check_state,
        "detail": one.check_detail,
        "checked_at": moment(one.checked_at),
    }


def checklist(items: tuple[Item, ...]) -> dict[str, Any]:
    """Return a checklist; `complete` says that nothing required is missing."""
    lacking = missing(items)
    return {"complete": not lacking, "missing": list(lacking), "items": [_item(one) for one in items]}


def rollout(one: Rollout) -> dict[str, Any]:
    """Return where a rollout stands, without its runs."""
    return {
        "id": one.pk,
        "component": one.target.component.name,
        "environment": one.target.environment.name,
        "release": {"id": one.release.pk, "version": one.release.version, "commit": one.release.commit},
        "previous_version": one.previous_version,
        "state": one.state,
        "final": one.is_final,
        "why": one.state_why,
        "needs_decision": one.needs_decision,
        "digest": one.digest,
        "created_at": moment(one.created_at),
        "started_at": moment(one.started_at),
        "ended_at": moment(one.ended_at),
    }


def run(one: Run) -> dict[str, Any]:
    """Return a run with its steps."""
    return {
        "id": one.pk,
        "kind": one.kind,
        "state": one.state,
        "automatic": one.automatic,
        "started_at": moment(one.started_at),
        "ended_at": moment(one.ended_at),
        "watch": {"verdict": one.watch.verdict, "outcome": one.watch.outcome} if one.watch else None,
        "steps": [
            {
                "id": step.pk,
                "number": step.number,
                "kind": step.kind,
                "title": step.title,
                "state": step.state,
                "sentence": step.outcome.get("sentence", ""),
            }
            for step in one.steps.all()
        ],
    }


def moment(at: datetime | None) -> str | None:
    """Return a moment as ISO 8601."""
    return at.isoformat() if at else None


def _item(one: Item) -> dict[str, Any]:
    found = one.found
    return {
        "kind": one.kind,
        "label": one.label,
        "required": one.required,
        "state": one.state,
        "name": found.name if found else "",
        "sha256": found.sha256 if found else "",
        "size": found.size if found else 0,
        "url": found.url if found else "",
        "artifact": found.artifact_id if found else None,
        "problem": found.bad if found else "",
    }


def known_state(text: str) -> bool:
    """Say whether a text is the name of a rollout's state."""
    return text in set(states.RolloutState)
