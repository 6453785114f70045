"""Small, explicit makers: a component from a minimal component.toml, releases, rollouts in their states, decisions."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from django.contrib.auth.models import User

from approvals.change_rules import Asker
from monitoring import audit, watch_store
from monitoring.audit import SYSTEM, Actor, Via
from monitoring.models import Watch
from rollout import (
    actions,
    backups,
    drafting,
    evidence,
    freezing,
    glass,
    glass_review,
    loading,
    opened,
    second_admin,
    transitions,
)
from rollout.models import Backup, BreakGlass, Component, Configuration, GlassReview, Release, Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.told import in_force

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
COMMIT = "a" * 40
ARCHIVE = b"the bytes of a release archive"
TOML = """
[component]
name = "dhash"
title = "dhash media service"

[commands]
start = ["true"]
stop = ["true"]
reload = ["true"]
migrate = ["true"]
smoke = ["true"]
logging = ["true"]

[environments.production]
driver = "release_dir"
root = "./env/production"
port = 8103
gates = "production"
health = { path = "/health", timeout_s = 1 }
backup = { directories = ["shared/config"], sqlite = ["shared/dhash.sqlite3"] }

[environments.staging]
driver = "release_dir"
root = "./env/staging"
port = 8102
gates = "production"
health = { path = "/health", timeout_s = 1 }
backup = { directories = ["shared/config"] }

[policy]
unmatched_author = "show"

[evidence]
required = ["release_archive"]
"""
GATES: dict[str, Any] = {
    "profiles": {
        "production": {
            "title": "Production",
            "window_s": 60,
            "fast_interval_s": 5,
            "fast_for_s": 10,
            "interval_s": 10,
            "near_share": 0.8,
            "sources": {
                "health": {"title": "Health", "kind": "http", "path": "/health", "timeout_s": 1},
                "p95": {
                    "title": "p95",
                    "kind": "json_metric",
                    "path": "/metrics/p95",
                    "key": "ms",
                    "unit": "ms",
                    "timeout_s": 1,
                },
            },
            "gates": {
                "health": {
                    "title": "Health",
                    "source": "health",
                    "kind": "consecutive_failures",
                    "limit": 2,
                    "severity": "rollback",
                },
                "p95": {"title": "p95", "source": "p95", "kind": "instant", "limit": 2000, "severity": "rollback"},
            },
            "bounds": {"p95.limit": [100, 3000]},
        }
    }
}


def that_day() -> time_machine.travel:
    """Return the clock of an hour after what is made here, going on: a sign-off that is made here expires in a day."""
    return time_machine.travel(NOW + timedelta(hours=1), tick=True)


def later(seconds: float) -> datetime:
    """Return the moment that many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def actor(user: User, via: Via = "browser") -> Actor:
    """Return the user as the audit names him."""
    return Actor(id=user.pk, name=user.get_username(), via=via)


def write_component(folder: Path, *, text: str = TOML, gates: dict[str, Any] = GATES) -> Path:
    """Write a component.toml with gates, one runbook, and two environments whose live release is 1.0.0."""
    (folder / "runbooks").mkdir(parents=True, exist_ok=True)
    (folder / "runbooks" / "rollback.md").write_text("# Roll back\n\n- [ ] look\n")
    (folder / "quality-gates-config.json").write_text(json.dumps(gates))
    (folder / "component.toml").write_text(text)
    for environment in ("production", "staging"):
        root = folder / "env" / environment
        (root / "releases" / "0001-1.0.0").mkdir(parents=True, exist_ok=True)
        if not (root / "current").is_symlink():
            (root / "current").symlink_to("releases/0001-1.0.0")
    return folder / "component.toml"


def load(path: Path, *, by: Actor = SYSTEM, now: datetime = NOW) -> Component:
    """Load a component.toml and return its component."""
    return loading.load(path, by=by, now=now).configuration.component


def asker(user: User, now: datetime = NOW, **changed: Any) -> Asker:
    """Return an admin who has just proved that it is he."""
    return Asker(**{"user": user, "authenticated_at": now, "by": actor(user), "now": now, **changed})


def confirm(configuration: Configuration, *, asker: Asker) -> None:
    """Put a waiting configuration in force as the admin who read what the page shows now."""
    shown = second_admin.shown(configuration, in_force(configuration.component))
    second_admin.confirm(configuration, seen=shown.digest, asker=asker)


def make_target(folder: Path, environment: str = "production") -> Target:
    """Return a target of a freshly loaded component."""
    return load(write_component(folder)).targets.get(environment__name=environment)


def make_release(
    component: Component, user: User, version: str = "1.1.0", *, commits: Sequence[dict[str, str]] = ()
) -> Release:
    """Return a release with its archive."""
    by = actor(user)
    release = drafting.create_release(
        component, version=version, commit=COMMIT, commits=commits, user=user, by=by, now=NOW
    )
    bring_archive(release, user)
    return release


def bring_archive(release: Release, user: User, content: bytes = ARCHIVE) -> None:
    """Attach a release archive."""
    name = f"dhash-{release.version}.zip"
    evidence.attach(release, kind="release_archive", name=name, chunks=[content], user=user, by=actor(user), now=NOW)


def make_draft(target: Target, user: User, version: str = "1.1.0", *, release: Release | None = None) -> Rollout:
    """Return a draft whose monitoring defaults are accepted."""
    release = release or make_release(target.component, user, version)
    by = actor(user)
    rollout = drafting.create_rollout(release, target, reason="customers wait for it", user=user, by=by, now=NOW)
    drafting.tune(rollout, changes={}, accepted=True, user=user, by=by, now=NOW)
    return rollout


def put_in(rollout: Rollout, state: str, **columns: Any) -> Rollout:
    """Write a state past all rules; for tests of what happens from there."""
    Rollout.objects.filter(pk=rollout.pk).update(state=state, **columns)
    return fresh(rollout)


def told(run: Run) -> Run:
    """Let the audit tell that a run was opened which a test wrote past all rules."""
    action, subject = f"run.{run.kind}.opened", transitions.subject_of(run)
    audit.append(action=action, by=SYSTEM, subject=subject, new=run.state, data=opened.facts(run), now=NOW)
    return run


def begun(rollout: Rollout, *then: str) -> Rollout:
    """Let the audit tell that a rollout began, and of states after that, which a test wrote past all rules."""
    subject = transitions.subject_of(rollout)
    for state in ("RUNNING", *then):
        with audit.turn():
            audit.append(action=f"rollout.{state.lower()}", by=SYSTEM, subject=subject, new=state, now=NOW)
    return rollout


def pass_over(run: Run, *kinds: str) -> None:
    """Let the steps of these kinds have succeeded, without a command."""
    for step in run.steps.filter(kind__in=kinds):
        transitions.move(step, "RUNNING", by=SYSTEM, now=NOW, attempt=step.attempt + 1, started_at=NOW)
        transitions.move(step, "SUCCEEDED", by=SYSTEM, now=NOW, ended_at=NOW)


def decide_watches(outcome: str, why: str = "p95 above 2000 ms") -> None:
    """Let every watch be decided, as a look would."""
    for watch in Watch.objects.all():
        with audit.turn():
            Watch.objects.filter(pk=watch.pk).update(outcome=outcome, state="DECIDED", reason=why)
            told = {"why": why, "old": watch.outcome, "new": outcome}
            watch_store.tell_audit(watch, f"watch.{outcome.lower()}", by=SYSTEM, now=NOW, **told)


def make_backup(target: Target, path: str = "/none.zip", *, sha256: str = "b" * 64, run: Run | None = None) -> Backup:
    """Return a backup of 1.0.0 of which the audit tells, taken by a run or on request, without a file."""
    facts = {"kind": "backup", "path": path, "sha256": sha256, "size": 1, "members": 1, "rows": {}}
    return backups.register(target, {**facts, "release_version": "1.0.0"}, by=SYSTEM, now=NOW, run=run)


def make_waiting(target: Target, user: User, version: str = "1.1.0") -> Rollout:
    """Return a rollout whose manifest is frozen, without the validate run that goes before it."""
    rollout = make_draft(target, user, version)
    return freeze(rollout)


def freeze(rollout: Rollout) -> Rollout:
    """Freeze the manifest of a draft, as the end of its validate run does."""
    rollout = fresh(rollout)
    transitions.move(rollout, R.VALIDATING, by=SYSTEM, now=NOW, previous_version=rollout.target.live_version)
    freezing.freeze(rollout, by=SYSTEM, now=NOW)
    return fresh(rollout)


def decide(rollout: Rollout, user: User, duty: str, kind: str = "APPROVE", **changed: Any) -> None:
    """Decide as a freshly authenticated person who saw the page."""
    now = changed.get("now", NOW)
    values: dict[str, Any] = {
        "user": user,
        "kind": kind,
        "duty": duty,
        "digest_seen": rollout.digest,
        "reason": "seen in staging",
        "authenticated_at": now,
        "diff_opened": True,
        "by": actor(user),
        "now": now,
    }
    actions.decide(fresh(rollout), **{**values, **changed})


def approve(rollout: Rollout, cast: dict[str, User]) -> Rollout:
    """Give the three consents of the default policy."""
    for name, duty in (("ann", "approver"), ("abe", "approver"), ("olaf", "deploy-operator")):
        decide(rollout, cast[name], duty)
    return fresh(rollout)


def make_approved(target: Target, cast: dict[str, User], version: str = "1.1.0") -> Rollout:
    """Return a rollout that may start."""
    return approve(make_waiting(target, cast["rita"], version), cast)


def break_glass(rollout: Rollout, user: User, **changed: Any) -> BreakGlass:
    """Start past what the sign-off lacks, as a freshly authenticated person who gives two reasons."""
    now = changed.get("now", NOW)
    values: dict[str, Any] = {
        "user": user,
        "digest_seen": rollout.digest,
        "why_now": "uploads fail for every customer since 11:40",
        "why_safe": "the fix was run on staging for an hour",
        "authenticated_at": now,
        "by": actor(user),
        "now": now,
    }
    return glass.break_glass(fresh(rollout), **{**values, **changed})


def review_glass(broken: BreakGlass, user: User, verdict: str = "AGREE", **changed: Any) -> GlassReview:
    """Review a break-glass as a freshly authenticated person."""
    now = changed.get("now", NOW)
    values: dict[str, Any] = {
        "user": user,
        "verdict": verdict,
        "words": "read the log and the dashboards of that hour",
        "authenticated_at": now,
        "by": actor(user),
        "now": now,
    }
    return glass_review.review(broken, **{**values, **changed})


def fresh(rollout: Rollout) -> Rollout:
    """Return the rollout as the database has it now."""
    return Rollout.objects.get(pk=rollout.pk)
