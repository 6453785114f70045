"""Who was faster: the newest entry of the audit that decides over what a refused request was after."""

import json
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from monitoring.models import AuditEntry
from rollout import states
from rollout.models import Rollout, Run

# What decides a race. The other entries follow from one of these by themselves, in its transaction or later.
TELLING = frozenset(
    {
        "configuration.confirmed",
        "configuration.refused",
        "github.merge_requested",
        "release.created",
        "rollout.cancelled",
        "rollout.draft",
        "rollout.expired",
        "rollout.failed",
        "rollout.glass_broken",
        "rollout.glass_reviewed",
        "rollout.not_restored",
        "rollout.rolled_back",
        "rollout.rolled_back_unhealthy",
        "rollout.succeeded",
        "rollout.superseded",
        "rollout.tuned",
        "run.abort_requested",
        "run.again_asked",
        "run.again_confirmed",
        "run.decided_done",
        "run.decided_not_done",
        "run.deploy.opened",
        "run.reviewed",
        "run.rollback.opened",
        "run.validate.opened",
        "sign_off.approved",
        "sign_off.expired",
        "sign_off.rejected",
        "sign_off.revoked",
        "target.locked",
        "target.unlocked",
        "token.revoked",
        "watch.accepted",
    }
)


@dataclass(frozen=True, kw_only=True)
class Winner:
    """What was done first: its kind and number, what it was, by whom, when."""

    kind: str
    id: int
    action: str
    by: str
    user_id: int | None
    at: datetime
    via: str


def of_rollout(rollout_id: int) -> Winner | None:
    """Return what was done last to a rollout, or to what holds its target."""
    rollout = Rollout.objects.filter(pk=rollout_id).first()
    if rollout is None:
        return None
    holds = Q(target=rollout.target_id, state__in=states.RUN_ACTIVE)
    runs = Run.objects.filter(Q(rollout=rollout_id) | holds).values_list("pk", flat=True)
    return _newest(Q(subject_kind="rollout", subject_id=str(rollout_id)), _about("run", *runs))


def of(kind: str, *ids: int | str) -> Winner | None:
    """Return what was done last to something else, named as the audit names it."""
    return _newest(_about(kind, *ids))


def _about(kind: str, *ids: int | str) -> Q:
    return Q(subject_kind=kind, subject_id__in=[str(one) for one in ids])


def _newest(*about: Q) -> Winner | None:
    wanted = Q()
    for one in about:
        wanted |= one
    entry = AuditEntry.objects.filter(wanted, action__in=TELLING).order_by("-seq").first()
    return _winner(entry) if entry else None


def _winner(entry: AuditEntry) -> Winner:
    decision = json.loads(entry.body)["data"].get("decision")
    kind, number = ("decision", decision) if decision else (entry.subject_kind, entry.subject_id)
    return Winner(
        kind=kind,
        id=int(number) if str(number).isdecimal() else 0,
        action=entry.action,
        by=entry.actor_name or "(erased)",
        user_id=entry.actor_id,
        at=entry.at,
        via=entry.via,
    )
