"""Freezes what is to be signed: gathers the facts of a rollout, builds its manifest, sees when it no longer holds."""

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from approvals import addresses, ledger, people
from monitoring import audit, canonical, gates
from monitoring.audit import SYSTEM, Actor
from rollout import barring, checklist, commits, evidence, plan, transitions
from rollout.component import Environment
from rollout.config_reader import ComponentError
from rollout.models import Rollout, Step
from rollout.states import RolloutState as R

# the parts that the engine and the pages read
READ = frozenset({"target", "plan", "gates", "release", "evidence", "links", "policy", "previous_version"})


def manifest_of(rollout: Rollout) -> dict[str, object]:
    """Return the manifest as it would be frozen now."""
    declared, version = rollout.target.declared, rollout.release.version
    target = declared.target
    return plan.manifest(
        _facts(rollout, declared),
        deploy_steps=plan.deploy(target, version, plan.release_dir(rollout.pk, version)),
        rollback_steps=plan.rollback(rollout.target.live_version),
    )


def freeze(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    """Freeze the manifest, open the sign-off, and move the rollout to WAITING.

    Raises Refused when nobody could sign, or the audit does not tell who had a part in it.
    """
    lacking = checklist.missing(evidence.checklist(rollout))
    if lacking:
        raise ledger.Refused(f"Still missing: {', '.join(lacking)}.")
    document = manifest_of(rollout)
    text, digest = canonical.dumps(document), plan.digest(document)
    with audit.turn():
        sign_off = ledger.open(
            digest=digest,
            manifest=text,
            subject=transitions.subject_of(rollout),
            **_asked(rollout, barring.told(rollout, document)),
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


def require_reachable(rollout: Rollout, *, now: datetime) -> None:
    """Raise Refused when, as people and policy are now, nobody could sign it, or nobody start what was signed."""
    possible, why = ledger.may_open(rollout.target.component.name, **_asked(rollout), now=now)
    if not possible:
        raise ledger.Refused(f"Its sign-off could never be complete: {why}.")


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
        today = manifest_of(rollout)
        if isinstance(frozen.get("requester"), str):  # of an older version, which froze his printed name
            today["requester"] = people.printed_name(rollout.requester)
        return plan.changed_parts(frozen, today)
    except ComponentError:
        return ("configuration",)  # none in force can be read, or declares such an environment
    except gates.ProfileError:
        return ("gates",)  # the tuning is out of the bounds that are in force now


def is_intact(rollout: Rollout) -> bool:
    """Say whether the manifest is, byte for byte, what was signed."""
    found = hashlib.sha256(rollout.manifest.encode("utf-8", "surrogatepass")).hexdigest()
    same = rollout.sign_off is not None and found == rollout.digest == rollout.sign_off.digest
    return same and is_readable(rollout)


def is_readable(rollout: Rollout) -> bool:
    """Say whether there is a manifest with all its parts, and not something that was put in its place."""
    try:
        document = json.loads(rollout.manifest)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.keys() >= READ


def not_as_signed(rollout: Rollout) -> str:
    """Return why a deploy may not go on: its manifest was edited or, before it changed anything, what that rests on."""
    if not is_intact(rollout):
        return "the manifest is not what was signed"
    tried = Step.objects.filter(run__rollout=rollout, run__kind="deploy", effect=True, attempt__gt=0).exists()
    parts = () if tried else changed(rollout)
    return f"changed since it was signed: {', '.join(parts)}" if parts else ""


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
    with audit.turn():
        if rollout.sign_off is not None:
            ledger.supersede(rollout.sign_off, why=why, by=by, now=now)
        transitions.move(rollout, R.DRAFT, by=by, now=now, why=why, state_why=why)
        transitions.tell(
            rollout, "signoff_void", "warning", why=why, by=by, now=now, key=f"{rollout.pk}-{rollout.version}"
        )


def profile_of(rollout: Rollout, declared: Environment) -> gates.GateProfile:
    """Return the gate profile that judges this rollout: the environment's, with the rollout's tuning."""
    return gates.tune(declared.profile, rollout.tuning) if rollout.tuning else declared.profile


def tuning_of(rollout: Rollout, declared: Environment | None = None) -> list[gates.Difference]:
    """Return how the rollout's gates differ from the environment's defaults."""
    declared = declared or rollout.target.declared
    return gates.diff(declared.profile, profile_of(rollout, declared))


def _facts(rollout: Rollout, declared: Environment) -> plan.Facts:
    component, release = rollout.target.component, rollout.release
    in_force, here = component.live, evidence.found(rollout)
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
        target=declared.target,
        gates=profile_of(rollout, declared).to_dict(),
        tuning=[
            {"name": one.name, "before": one.before, "after": one.after, "looser": one.looser}
            for one in tuning_of(rollout, declared)
        ],
        policy=in_force.parsed().policy.to_dict(),
        evidence=[
            {"kind": one.kind, "name": one.name, "sha256": one.sha256, "size": one.size}
            for one in here.values()
            if not one.url
        ],
        links=[{"kind": one.kind, "url": one.url} for one in here.values() if one.url],
        migrations=migrations_of(rollout),
        runbooks=dict(component.runbooks.filter(current=True).values_list("slug", "sha256")),
        configuration=in_force.sha256,
        reason=rollout.reason,
        # not how he signs: a requester who renames himself would void everybody's signatures
        requester={"id": rollout.requester_id, "user": rollout.requester.get_username()},
    )


def migrations_of(rollout: Rollout) -> list[str]:
    """Return the migrations that the dry run on a copy of the database applied."""
    dry_run = Step.objects.filter(run__rollout=rollout, run__kind="validate", kind="dry_run", params__what="migrate")
    last = dry_run.order_by("-run_id").first()
    return list(last.outcome.get("facts", {}).get("migrations", [])) if last else []


def _asked(rollout: Rollout, told: Mapping[str, AbstractSet[int]] | None = None) -> dict[str, Any]:
    """Return what the rules need to know of a rollout: policy, who is barred by what, authors that nobody matches.

    `told`: who is barred by what the audit tells, too.
    """
    authors = commits.authors(rollout.release.commits)
    known = addresses.users_by_commit_email(author["email"] for author in authors)
    return {
        "policy": rollout.target.component.spec.policy,
        "barred": barring.duties(rollout, frozenset().union(*known.values()), told),
        "unmatched_authors": [author for author in authors if addresses.folded(author["email"]) not in known],
    }
