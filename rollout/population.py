"""The population of a period for an auditor's sample: one row a rollout, reconciled with what the audit tells.

Complete by construction: rows come from the table of rollouts, which nothing in the product deletes from, and their
numbers are compared with those of the chain's entries (`rollout.created`, `rollout.running`), both ways. What stands on
one side only is told by its number, on the page and in the file's audit entry.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Max, Min, Prefetch, QuerySet

from approvals import people
from approvals.models import Decision, SignOff
from monitoring import audit_pages, raw_rows
from monitoring.audit_pages import Wanted
from monitoring.models import AuditEntry
from rollout import states
from rollout.models import BreakGlass, GlassReview, Rollout, Run

CHUNK = 200
# by which time a rollout belongs to a period: its column, and the action that the chain tells then
BASES = {"requested": ("created_at", "rollout.created"), "started": ("started_at", "rollout.running")}
COLUMNS = (
    "rollout", "component", "environment", "release", "commit", "pull_request", "reason", "requested_at",
    "requested_by", "requested_by_user", "digest", "sign_off", "sign_off_state", "policy_approvers", "approved_by",
    "approvals", "approvals_without_difference", "rejected_by", "break_glass", "break_glass_why",
    "break_glass_reviews", "started_at", "started_by",
    "started_by_user", "ended_at", "outcome", "outcome_why", "rolled_back_at", "rolled_back_by",
    "rolled_back_by_user", "rollback_automatic",
    "backup", "backup_sha256", "backup_verified_at", "run_ids", "decision_ids", "incident_ids", "first_entry",
    "last_entry",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Period:
    """Which rollouts are asked for: those requested, or started, from `since` on and before `until`."""

    since: datetime
    until: datetime
    basis: str = "requested"
    component: str = ""
    environment: str = ""
    # the components that the reader may know of; None: all
    only: tuple[str, ...] | None = None

    def rollouts(self) -> QuerySet[Rollout]:
        """Return them, oldest first."""
        column = BASES[self.basis][0]
        asked: dict[str, Any] = {f"{column}__gte": self.since, f"{column}__lt": self.until}
        if self.component:
            asked["target__component__name"] = self.component
        if self.environment:
            asked["target__environment__name"] = self.environment
        if self.only is not None:
            asked["target__component__name__in"] = self.only
        return Rollout.objects.filter(**asked).order_by("pk")


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """How many there are, and the numbers that stand on one side only."""

    count: int
    told: int
    only_in_table: tuple[int, ...]
    only_in_chain: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Say whether table and chain name the same rollouts."""
        return not self.only_in_table and not self.only_in_chain


def reconcile(period: Period, *, upto: int) -> Reconciled:
    """Compare the rollouts of the table with those that the chain tells of, up to one of its entries."""
    rows = set(period.rollouts().values_list("pk", flat=True))
    told = _told(period, upto)
    return Reconciled(
        count=len(rows),
        told=len(told),
        only_in_table=tuple(sorted(rows - told)),
        only_in_chain=tuple(sorted(told - rows)),
    )


def rows(period: Period) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the file, oldest first, as many at a time as fit into memory whatever the period."""
    last = 0
    while chunk := list(_whole(period.rollouts().filter(pk__gt=last))[:CHUNK]):
        yield from _chunk(chunk)
        last = chunk[-1].pk


def first_rows(period: Period, number: int) -> list[dict[str, Any]]:
    """Return the newest rows with the names of their columns, and short of who approved, to be shown."""
    newest = list(_whole(period.rollouts().order_by("-pk"))[:number])
    told = [dict(zip(COLUMNS, row, strict=True)) for row in _chunk(newest)]
    return [{**one, "approvers": re.sub(r" at \S+ by \w+", "", one["approved_by"])} for one in told]


def _told(period: Period, upto: int) -> set[int]:
    """Return the numbers of the rollouts whose first entry of this kind stands in the period."""
    action = BASES[period.basis][1]
    wanted = Wanted(
        action=action,
        since=period.since,
        until=period.until,
        component=period.component,
        environment=period.environment,
        only=period.only,
    )
    found: set[int] = set()
    for piece in audit_pages.windows(wanted, upto=upto):
        keys = set(piece.filter(subject_kind="rollout").order_by().values_list("subject_id", flat=True)) - {""}
        found |= {int(key) for key in keys if key.isdecimal() and len(key) < 40}
    if period.basis == "started":  # one that goes on after a decision is told of again
        found -= _told_before(found, action, period.since)
    return found


def _told_before(numbers: Iterable[int], action: str, since: datetime) -> set[int]:
    before: set[int] = set()
    keys = sorted(str(one) for one in numbers)
    for start in range(0, len(keys), CHUNK):
        own = AuditEntry.objects.filter(subject_kind="rollout", subject_id__in=keys[start : start + CHUNK])
        before |= {int(key) for key in own.filter(action=action, at__lt=since).values_list("subject_id", flat=True)}
    return before


def _whole(rollouts: QuerySet[Rollout]) -> QuerySet[Rollout]:
    runs = Run.objects.select_related("started_by__person", "incident").order_by("pk")
    return rollouts.select_related(
        "target__component", "target__environment", "release", "requester__person", "sign_off", "backup"
    ).prefetch_related(Prefetch("runs", queryset=runs), "broken_glass__user", "broken_glass__reviews__user")


def _chunk(rollouts: Sequence[Rollout]) -> Iterator[tuple[Any, ...]]:
    keys = [str(one.pk) for one in rollouts]
    about = {"subject_kind": "rollout", "subject_id__in": keys}
    entries = AuditEntry.objects.filter(**about, seq__lte=raw_rows.LARGEST).order_by().values_list("subject_id")
    span = {key: (first, last) for key, first, last in entries.annotate(Min("seq"), Max("seq"))}
    newest = {one.subject_id: one for one in SignOff.objects.filter(**about).defer("manifest").order_by("pk")}
    decisions: dict[int, list[Decision]] = {}
    signed = [one.pk for one in newest.values()]
    for one in Decision.objects.filter(sign_off__in=signed).select_related("user").order_by("sign_off", "seq"):
        decisions.setdefault(one.sign_off_id, []).append(one)
    for rollout in rollouts:
        sign_off = newest.get(str(rollout.pk))
        own = decisions.get(sign_off.pk, []) if sign_off else []
        yield _row(rollout, sign_off, own, span.get(str(rollout.pk), ("", "")))


def _row(rollout: Rollout, sign_off: SignOff | None, own: Sequence[Decision], span: tuple[Any, Any]) -> tuple[Any, ...]:
    runs = list(rollout.runs.all())
    start = next((run for run in reversed(runs) if run.kind == Run.Kind.DEPLOY), None)
    back = next((run for run in reversed(runs) if run.kind == Run.Kind.ROLLBACK), None)
    given, rejected = _standing(own)
    return (
        *_request(rollout),
        rollout.digest,
        sign_off.pk if sign_off else "",
        sign_off.get_state_display() if sign_off else "",
        sign_off.policy.get("approvers", "") if sign_off else "",
        "; ".join(f"{_who(one)} as {one.duty} at {moment(one.at)} by {one.method}" for one in given),
        len(given),
        sum(not one.diff_opened for one in given),
        "; ".join(f"{_who(one)} at {moment(one.at)}" for one in rejected),
        *_glass(rollout),
        moment(rollout.started_at),
        *_starter(start),
        moment(rollout.ended_at),
        states.label(rollout.state),
        rollout.state_why,
        *_rollback(back),
        *_backup(rollout),
        " ".join(str(run.pk) for run in runs),
        " ".join(str(one.pk) for one in own),
        " ".join(str(run.incident_id) for run in runs if run.incident_id),
        *span,
    )


def _who(one: Decision | BreakGlass | GlassReview) -> str:
    return people.told_apart(one.printed_name, one.user)


def _request(rollout: Rollout) -> tuple[Any, ...]:
    return (
        rollout.pk,
        rollout.target.component.name,
        rollout.target.environment.name,
        rollout.release.version,
        rollout.release.commit,
        rollout.release.pull_request or "",
        rollout.reason,
        moment(rollout.created_at),
        people.printed_name(rollout.requester),
        rollout.requester.get_username(),
    )


def _standing(own: Sequence[Decision]) -> tuple[list[Decision], list[Decision]]:
    """Return the approvals that were not taken back, and the rejections, of one sign-off."""
    given: dict[int, Decision] = {}
    for one in (voice for voice in own if voice.kind in Decision.VOICES):
        given.pop(one.user_id, None)
        if one.kind == Decision.Kind.APPROVE:
            given[one.user_id] = one
    return list(given.values()), [one for one in own if one.kind == Decision.Kind.REJECT]


def _glass(rollout: Rollout) -> tuple[str, str, str]:
    """Return whether a run of it began past an incomplete sign-off, why, and what others said of that afterwards."""
    broken = list(rollout.broken_glass.all())
    why = "; ".join(f"{_who(one)} at {moment(one.at)}: {one.why_now}; {one.why_safe}" for one in broken)
    said = "; ".join(
        f"{_who(review)} {review.get_verdict_display()} at {moment(review.at)}"
        for one in broken
        for review in one.reviews.all()
    )
    return "yes" if broken else "no", why, said


def _starter(run: Run | None) -> tuple[str, str]:
    if run is None or run.started_by is None:
        return "", ""
    return people.printed_name(run.started_by), run.started_by.get_username()


def _rollback(run: Run | None) -> tuple[str, str, str, str]:
    if run is None:
        return "", "", "", ""
    name, account = _starter(run) if run.started_by else ("the system", "")
    return moment(run.started_at or run.created_at), name, account, "yes" if run.automatic else "no"


def _backup(rollout: Rollout) -> tuple[str, str, str]:
    backup = rollout.backup
    return (str(backup), backup.sha256, moment(backup.verified_at)) if backup else ("", "", "")


def moment(at: datetime | None) -> str:
    """Return a moment as a spreadsheet reads it, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""
