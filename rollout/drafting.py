"""What a rollout is made of before it is submitted: releases, drafts, tuning."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from approvals import ledger
from approvals.ledger import Refused
from monitoring import audit, canonical, gates, unseen
from monitoring.audit import Actor
from monitoring.gates import ProfileError
from rollout import access, barring, evidence, freezing, permits, states, transitions
from rollout import commits as commit_list
from rollout.models import Component, Release, Rollout, Target
from rollout.states import RolloutState as R

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,59}")
COMMIT = re.compile(r"[0-9a-f]{40}")


def create_release(
    component: Component,
    *,
    version: str,
    commit: str,
    branch: str = "main",
    pull_request: int | None = None,
    commits: Sequence[Mapping[str, str]] = (),
    notes: str = "",
    user: User,
    by: Actor,
    now: datetime,
) -> Release:
    """Create one immutable version of a component; raise Refused when it exists or a value is malformed."""
    require_owner(user, component)
    if not VERSION.fullmatch(version):
        raise Refused(f"{version[:80]!r} is no version: letters, digits and . + _ - are accepted, at most 60.")
    if not COMMIT.fullmatch(commit):
        raise Refused("A commit is given as its 40 lower-case hexadecimal digits.")
    listed = commit_list.rows(commits)
    try:
        with audit.turn():
            release = Release.objects.create(
                component=component,
                version=version,
                commit=commit,
                branch=branch,
                pull_request=pull_request,
                commits=listed,
                notes=notes,
                created_by=user,
                created_via=by.via,
                created_at=now,
            )
            data = {"version": version, "commit": commit, "commits_sha256": canonical.digest(listed)}
            audit.append(action="release.created", by=by, subject=evidence.subject_of(release), data=data, now=now)
    except IntegrityError:
        raise Refused(f"{component.name} {version} exists already; a release never changes: choose another version.")
    return release


def create_rollout(release: Release, target: Target, *, reason: str, user: User, by: Actor, now: datetime) -> Rollout:
    """Create the draft of a rollout; older ones for the target that have not begun are superseded by it."""
    require_owner(user, release.component)
    if target.component_id != release.component_id:
        raise Refused(f"{release} cannot go to {target}: that is another component.")
    if target.retired:
        raise Refused(f"{target} is retired: the configuration in force does not declare it any more.")
    if unseen.seen_length(reason) < unseen.REASON_MIN:
        raise Refused("Say why this change is made, in a sentence: approvers and auditors read it.")
    if target.live_version == release.version:
        raise Refused(f"{target} runs {release.version} already.")
    with audit.turn():
        rollout = Rollout.objects.create(
            release=release,
            target=target,
            requester=user,
            reason=reason.strip(),
            previous_version=target.live_version,
            created_at=now,
        )
        audit.append(
            action="rollout.created", by=by, subject=transitions.subject_of(rollout), why=reason, new=R.DRAFT, now=now
        )
        _supersede_older(rollout, by=by, now=now)
    return rollout


def tune(
    rollout: Rollout, *, changes: Mapping[str, str], accepted: bool, user: User, by: Actor, now: datetime
) -> tuple[str, ...]:
    """Accept the monitoring defaults, or tune them within the declared bounds; return the parts of a void manifest.

    Whoever has a part in the tuning that stands cannot approve it. Raises Refused with the bound that was passed.
    """
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.OWNERS | access.STOPPERS | access.DECIDERS)
    if rollout.state not in (R.DRAFT, R.WAITING, R.APPROVED):
        raise Refused(f"The gates can no longer be tuned: the rollout is {states.label(rollout.state)}.")
    profile = rollout.target.declared.profile
    try:
        gates.tune(profile, changes)
    except ProfileError as error:
        raise Refused(f"This tuning is not allowed: {error}")
    with audit.turn():
        held = Rollout.objects.select_for_update().get(pk=rollout.pk)
        if (held.version, held.state) != (rollout.version, rollout.state):
            raise Refused("Somebody changed this rollout meanwhile; load the page again.")
        values = {**_tuned(held, changes, user), "monitoring_accepted": accepted}
        Rollout.objects.filter(pk=rollout.pk).update(**values)
        data = {"tuning": dict(changes), "accepted": accepted}
        audit.append(action="rollout.tuned", by=by, subject=transitions.subject_of(rollout), data=data, now=now)
    for name, value in values.items():
        setattr(rollout, name, value)
    return freezing.recheck(rollout, now=now)


def _tuned(rollout: Rollout, changes: Mapping[str, str], user: User) -> dict[str, Any]:
    """Return the columns of a tuning."""
    changed = {key for key, value in changes.items() if not barring.is_same(rollout.tuning.get(key), value)}
    tuners = barring.tuners_after(rollout.tuners, rollout.tuning, changes, user.pk)
    columns: dict[str, Any] = {"tuning": dict(changes), "tuners": tuners}
    if changed or set(changes) != set(rollout.tuning):
        columns["tuned_by"] = user if changes else None
    return columns


def recheck_release(release: Release, *, now: datetime) -> None:
    """Void the sign-offs of every waiting rollout whose evidence has just changed."""
    for rollout in release.rollouts.filter(state__in=[R.WAITING, R.APPROVED]):
        freezing.recheck(rollout, now=now)


def yield_to_newer(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    """Let a newer rollout for the target, created while this one was validated, take its place."""
    newer = Rollout.objects.filter(target=rollout.target, pk__gt=rollout.pk, state__in=states.OPEN | states.ACTIVE)
    latest = newer.order_by("-pk").first()
    if latest is not None:
        _supersede(rollout, latest, by=by, now=now)


def _supersede_older(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    not_begun = Rollout.objects.filter(target=rollout.target, state__in=[R.DRAFT, R.WAITING, R.APPROVED])
    for older in not_begun.exclude(pk=rollout.pk):
        _supersede(older, rollout, by=by, now=now)


def _supersede(older: Rollout, newer: Rollout, *, by: Actor, now: datetime) -> None:
    why = f"superseded by rollout {newer.pk} ({newer.release.version})"
    if older.sign_off is not None:
        ledger.supersede(older.sign_off, why=why, by=by, now=now)
    data = {"superseded_by": newer.pk}
    transitions.move(
        older, R.SUPERSEDED, by=by, now=now, why=why, data=data, state_why=why, superseded_by=newer, ended_at=now
    )
    transitions.tell(
        older,
        "rollout_superseded",
        "info",
        why=why,
        by=by,
        now=now,
        key=f"{older.pk}-{older.version}",
        newer=str(newer),
        newer_url=transitions.url_of(newer),
    )


def require_owner(user: User, component: Component) -> None:
    """Raise PermissionDenied unless the user may bring releases and evidence of this component now."""
    if access.RELEASE_OWNER not in ledger.current_roles(user, component.name):
        raise PermissionDenied(f"This needs the role release-owner for {component.name}.")
