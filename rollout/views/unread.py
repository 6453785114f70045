"""The auditor's report of decisions that were made without the difference having been opened; and as CSV."""

from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from approvals.models import Decision
from monitoring import audit, audit_export
from monitoring.audit import Subject
from rollout import access
from rollout.middleware import actor_of
from rollout.population import moment
from rollout.views.verified import verified

SIZES = (25, 50, 100)
# what is decided about a change: to take an approval back, or to start what was approved, needs no reading of its own
READ = (Decision.Kind.APPROVE, Decision.Kind.REJECT)
COLUMNS = (
    "decision", "at", "person", "user", "decided", "duty", "component", "environment", "about", "sign_off",
    "sign_off_state", "digest", "reason", "method",
)  # fmt: skip


@require_GET
def unread_decisions(request: HttpRequest) -> HttpResponse:
    """List them, newest first, and by person how many of how many."""
    size = request.GET.get("size", "")
    rows = Paginator(_unread(request.user).order_by("-pk"), int(size) if size in map(str, SIZES) else SIZES[0])
    context = {
        "page_obj": rows.get_page(request.GET.get("page")),
        "people": _people(request.user),
        **verified(timezone.now()),
        "may_export": bool(access.groups_of(request) & access.AUDITORS),
    }
    return render(request, "rollout/unread_decisions.html", context)


@require_GET
def unread_decisions_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Stream all of them, oldest first, and tell the audit who took them."""
    now = timezone.now()
    with audit.turn():
        upto = Decision.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        data = {"count": _unread(request.user).filter(pk__lte=upto).count(), "up_to_decision": upto}
        about = Subject(kind="audit", id="1", label="audit")
        audit.append(action="unread_decisions.exported", by=actor_of(request), subject=about, data=data, now=now)
    response = StreamingHttpResponse(_lines(request.user, upto), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="unread-decisions-{now:%Y%m%d-%H%M%S}.csv"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _unread(user: Any) -> QuerySet[Decision]:
    """Return the decisions on whose page nobody unfolded what changes."""
    rows = access.known(user, Decision.objects.filter(diff_opened=False, kind__in=READ), "sign_off__component")
    return rows.select_related("sign_off", "user").defer("sign_off__manifest")


def _people(user: Any) -> list[dict[str, Any]]:
    """Return each person with unread decisions, who has most of them first."""
    rows = access.known(user, Decision.objects.filter(kind__in=READ), "sign_off__component")
    counted = rows.order_by().values("user", "user__username", "user__person__printed_name")
    counted = counted.annotate(all=Count("pk"), unread=Count("pk", filter=Q(diff_opened=False)))
    return list(counted.filter(unread__gt=0).order_by("-unread", "user"))


def _lines(user: Any, upto: int) -> Iterator[str]:
    yield audit_export.csv_line(COLUMNS)
    last = 0
    while chunk := list(_unread(user).filter(pk__gt=last, pk__lte=upto).order_by("pk")[:500]):
        for one in chunk:
            yield audit_export.csv_line(_row(one))
        last = chunk[-1].pk


def _row(one: Decision) -> tuple[Any, ...]:
    sign_off = one.sign_off
    return (
        one.pk,
        moment(one.at),
        one.printed_name,
        one.user.get_username(),
        one.get_kind_display(),
        one.duty,
        sign_off.component,
        sign_off.environment,
        f"{sign_off.subject_kind} {sign_off.subject_id}: {sign_off.subject_label}",
        sign_off.pk,
        sign_off.get_state_display(),
        one.digest,
        one.reason,
        one.method,
    )
