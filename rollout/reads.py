"""Tells the audit who read evidence: manifests, the checklist, what a step printed, the audit itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitoring import anchors, audit
from monitoring.audit import Actor, Subject
from rollout import bundle_rows, transitions
from rollout.bundle import Scope, Written
from rollout.models import Rollout, Step


def manifest(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    """Tell that the exact bytes that are signed were given out."""
    _tell("manifest.read", transitions.subject_of(rollout), {"digest": rollout.digest}, by=by, now=now)


def manifests(rollout: Rollout, digests: Sequence[str], *, by: Actor, now: datetime) -> None:
    """Tell which manifests of a rollout a page put side by side."""
    _tell("manifest.read", transitions.subject_of(rollout), {"digests": list(digests)}, by=by, now=now)


def checklist(rollout: Rollout, *, by: Actor, now: datetime) -> None:
    """Tell that the checklist with its sha256s and links was given out."""
    _tell("checklist.read", transitions.subject_of(rollout), {"digest": rollout.digest}, by=by, now=now)


def log(step: Step, *, by: Actor, now: datetime) -> None:
    """Tell that the whole output of a step was given out."""
    _tell("log.read", transitions.subject_of(step), {"step": step.title}, by=by, now=now)


def export(kind: str, *, by: Actor, now: datetime) -> int:
    """Tell that the audit is written out, and up to which entry; return that."""
    last = audit.head()[0]
    _tell("audit.exported", anchors.ABOUT, {"format": kind, "up_to": last}, by=by, now=now)
    return last


def bundle(scope: Scope, written: Written, sha256: str, *, by: Actor, now: datetime) -> None:
    """Tell that a bundle was given out: of what, and the sha256s by which it, and its SHA256SUMS, are known again."""
    data: dict[str, Any] = {"sha256": sha256, "sums": written.sums, "files": written.files}
    if scope.period is not None:
        data |= {"rollouts": written.rollouts, **bundle_rows.told(scope.period)}
        _tell("period.bundled", anchors.ABOUT, data, by=by, now=now)
        return
    for rollout in Rollout.objects.with_places().filter(pk__in=scope.rollouts.order_by()):
        _tell("rollout.bundled", transitions.subject_of(rollout), data, by=by, now=now)


def _tell(action: str, subject: Subject, data: dict[str, Any], *, by: Actor, now: datetime) -> None:
    with audit.turn():
        audit.append(action=action, by=by, subject=subject, data=data, now=now)
