"""Freezes what is to be signed: gathers the facts of a rollout, builds its manifest, sees when it no longer holds."""

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db import transaction

from approvals import ledger, people
from monitoring import canonical, gates
from monitoring.audit import SYSTEM, Actor
from rollout import checklist, evidence, plan, transitions
from rollout.config_reader import ComponentError
from rollout.models import Rollout, Step
from rollout.states import RolloutState as R


def manifest_of(rollout: Rollout) -> dict[str, object]:
    """Return the manifest as it would be frozen now."""
    target, version = rollout.target.spec, rollout.release.version
    return plan.manifest(
        _facts(rollout),
        deploy_steps=plan.deploy(target, version, plan.release_dir(rollout.pk, version)),
        rollback_steps=plan.rollback(target, rollout.target.live_version),
    )


def freeze(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    """Freeze the manifest, open the sign-off, and move the rollout to WAITING; raise Refused when nobody could sign."""
    lacking = checklist.missing(evidence.checklist(rollout))
    if lacking:
        raise ledger.Refused(f"Still missing: {', '.join(lacking)}.")
    document = manifest_of(rollout)
    text, digest = canonical.dumps(document), plan.digest(document)
    authors = _commit_authors(rollout)
    known = people.users_by_commit_email(author["email"] for author in authors)
    with transaction.atomic():
        sign_off = ledger.open(
            digest=digest,
            manifest=text,
            policy=rollout.target.component.spec.policy,
            subject=transitions.subject_of(rollout),
            barred=_barred(rollout, known),
            unmatched_authors=[author for author in authors if author["email"].casefold() not in known],
            by=by,
            now=now,
        )
        transitions.move(
            rollout,
            R.WAITING,
            by=by,
            now=now,
            why="validated",
            manifest=text,
            digest=digest,
            sign_off=sign_off,
            data={"digest": digest},
            previous_version=rollout.target.live_version,
        )


def recheck(rollout: Rollout, *, now: datetime) -> tuple[str, ...]:
    """Void the sign-off and return the rollout to DRAFT when anything in its manifest changed; return what did."""
    if rollout.state not in (R.WAITING, R.APPROVED) or rollout.sign_off is None:
        return ()
    parts = changed(rollout)
    if parts:
        void(rollout, why=f"changed after the sign-off was opened: {', '.join(parts)}", by=SYSTEM, now=now)
    return parts


def changed(rollout: Rollout) -> tuple[str, ...]:
    """Return the parts in which the frozen manifest differs from what would be frozen now."""
    frozen = json.loads(rollout.manifest)
    try:
        return plan.changed_parts(frozen, manifest_of(rollout))
    except ComponentError:
        return ("target",)  # the configuration in force has no such environment any more
    except gates.ProfileError:
        return ("gates",)  # the tuning is out of the bounds that are in force now


def is_intact(rollout: Rollout) -> bool:
    """Say whether the manifest is, byte for byte, what was signed."""
    found = hashlib.sha256(rollout.manifest.encode()).hexdigest()
    return rollout.sign_off is not None and found == rollout.digest == rollout.sign_off.digest


def signed(rollout: Rollout) -> dict[str, Any]:
    """Return the manifest that was signed."""
    return dict(json.loads(rollout.manifest))


def require_still(rollout: Rollout, *, since: datetime) -> None:
    """Raise Refused when what a validate run rested on was replaced after the run was opened."""
    live = rollout.target.component.live
    if max(live.loaded_at, live.confirmed_at or live.loaded_at) > since:
        raise ledger.Refused("The configuration was changed while this was validated; submit it again.")
    if rollout.release.artifacts.filter(rollout=None, created_at__gt=since).exists():
        raise ledger.Refused("Evidence was replaced while this was validated; submit it again.")


def void(rollout: Rollout, *, why: str, by: Actor, now: datetime) -> None:
    """Supersede the sign-off and return the rollout to DRAFT; the decisions stay as history."""
    with transaction.atomic():
        if rollout.sign_off is not None:
            ledger.supersede(rollout.sign_off, why=why, by=by, now=now)
        transitions.move(rollout, R.DRAFT, by=by, now=now, why=why, state_why=why)
        transitions.tell(
            rollout, "signoff_void", "warning", why=why, by=by, now=now, key=f"{rollout.pk}-{rollout.version}"
        )


def profile_of(rollout: Rollout) -> gates.GateProfile:
    """Return the gate profile that judges this rollout: the environment's, with the rollout's tuning."""
    environment = rollout.target.declared
    return gates.tune(environment.profile, rollout.tuning) if rollout.tuning else environment.profile


def tuning_of(rollout: Rollout) -> list[gates.Difference]:
    """Return how the rollout's gates differ from the environment's defaults."""
    environment = rollout.target.declared
    return gates.diff(environment.profile, profile_of(rollout))


def _facts(rollout: Rollout) -> plan.Facts:
    component, release = rollout.target.component, rollout.release
    spec = component.spec
    here = evidence.found(rollout)
    archive = here.get("release_archive")
    return plan.Facts(
        component=component.name,
        environment=rollout.target.environment.name,
        release={
            "version": release.version,
            "commit": release.commit,
            "commits": release.commits,
            "archive_sha256": archive.sha256 if archive else "",
            "archive_size": archive.size if archive else 0,
        },
        previous_version=rollout.target.live_version,
        target=rollout.target.spec,
        gates=profile_of(rollout).to_dict(),
        tuning=[
            {"name": one.name, "before": one.before, "after": one.after, "looser": one.looser}
            for one in tuning_of(rollout)
        ],
        policy=spec.policy.to_dict(),
        evidence=[
            {"kind": one.kind, "name": one.name, "sha256": one.sha256, "size": one.size}
            for one in here.values()
            if not one.url
        ],
        links=[{"kind": one.kind, "url": one.url} for one in here.values() if one.url],
        migrations=migrations_of(rollout),
        runbooks=dict(component.runbooks.filter(current=True).values_list("slug", "sha256")),
        configuration=component.live.sha256,
        reason=rollout.reason,
        requester=people.printed_name(rollout.requester),
    )


def migrations_of(rollout: Rollout) -> list[str]:
    """Return the migrations that the dry run on a copy of the database applied."""
    dry_run = Step.objects.filter(run__rollout=rollout, run__kind="validate", kind="dry_run", params__what="migrate")
    last = dry_run.order_by("-run_id").first()
    return list(last.outcome.get("facts", {}).get("migrations", [])) if last else []


def _commit_authors(rollout: Rollout) -> list[dict[str, str]]:
    authors = {commit["email"].casefold(): commit for commit in rollout.release.commits}
    return [{"name": commit["author"], "email": commit["email"]} for commit in authors.values()]


def _barred(rollout: Rollout, known: dict[str, int]) -> dict[int, list[str]]:
    """Return user id -> the duties that bar this person from approving (DESIGN.md section 6)."""
    barred: dict[int, list[str]] = {rollout.requester_id: ["requester"]}
    release = rollout.release
    standing = release.artifacts.filter(replaced_at=None).values("sha256")
    # the same bytes brought again take nobody over
    uploaders = release.artifacts.filter(sha256__in=standing, uploaded_by__isnull=False)
    brought = {*uploaders.values_list("uploaded_by", flat=True), *release.links.values_list("added_by", flat=True)}
    for user_id in {release.created_by_id, *brought}:
        barred.setdefault(user_id, []).append("uploader")
    for user_id in set(known.values()):
        barred.setdefault(user_id, []).append("commit author")
    for user_id in {one for tuners in rollout.tuners.values() for one in tuners}:
        barred.setdefault(user_id, []).append("tuner")
    return barred
