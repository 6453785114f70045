"""Which entries of the audit a bundle needs: of its rollouts, of its period, and those that its proofs rest on."""

from collections.abc import Iterator
from typing import Any

from django.db.models import CharField, Max, Min, Q, QuerySet
from django.db.models.functions import Cast

from approvals.models import Decision
from monitoring import raw_rows
from monitoring.audit_pieces import Span
from monitoring.models import AuditEntry
from monitoring.verify import PASSKEYS
from rollout.models import Rollout, Run, Step
from rollout.population import Period

# Reading goes on for years after the end; what was read is in the history, not in the proof.
READING = (
    "manifest.read",
    "checklist.read",
    "log.read",
    "artifact.read",
    "attachment.read",
    "rollout.bundled",
    "period.bundled",
)


def needed(rollouts: QuerySet[Rollout], keys: QuerySet[Any], period: Period | None) -> Iterator[Span]:
    """Yield spans of numbers: one of all that was moved and decided, and one for each entry that it rests on."""
    if span := _course(rollouts, keys, period):
        yield span
    for seq in _grounds(rollouts, keys):
        yield seq, seq


def texts(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the numbers of rows as text: what other rooms call them."""
    found: QuerySet[Any] = rows.order_by().annotate(key=Cast("pk", CharField())).values("key")
    return found


def _course(rollouts: QuerySet[Rollout], keys: QuerySet[Any], period: Period | None) -> Span | None:
    """Return the first and the last number of what happened to the rollouts and, of a period, of all that was in it."""
    runs = texts(Run.objects.filter(rollout__in=rollouts.order_by()))
    steps = texts(Step.objects.filter(run__rollout__in=rollouts.order_by()))
    found: list[int] = []
    for kind, numbers in (("rollout", keys), ("run", runs), ("step", steps)):
        found += _ends(Q(subject_kind=kind, subject_id__in=numbers) & ~Q(action__in=READING))
    if period is not None:
        found += _ends(Q(at__gte=period.since, at__lt=period.until))
    return (min(found), max(found)) if found else None


def _grounds(rollouts: QuerySet[Rollout], keys: QuerySet[Any]) -> Iterator[int]:
    """Yield the entries that tell whose a passkey is, and what was brought for a release."""
    decided = Decision.objects.filter(sign_off__subject_kind="rollout", sign_off__subject_id__in=keys)
    signers = decided.filter(signature__isnull=False).order_by().values_list("user_id", flat=True).distinct()
    releases = rollouts.order_by().values_list("release_id", flat=True).distinct()
    for kind, numbers, actions in (
        ("user", signers, PASSKEYS),
        ("release", releases, ("artifact.attached", "link.attached")),
    ):
        about = AuditEntry.objects.filter(subject_kind=kind, action__in=actions, seq__lte=raw_rows.LARGEST)
        for number in numbers:
            yield from about.filter(subject_id=str(number)).values_list("seq", flat=True)


def _ends(condition: Q) -> list[int]:
    entries = AuditEntry.objects.filter(condition, seq__lte=raw_rows.LARGEST).order_by()
    ends = entries.aggregate(first=Min("seq"), last=Max("seq"))
    return [] if ends["first"] is None else [ends["first"], ends["last"]]
