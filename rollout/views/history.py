"""The history page: the audit with filters, page by page, each entry with its proof; and as CSV."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring import audit, audit_export
from monitoring.audit import Subject
from monitoring.chain_watch import WATCH
from monitoring.models import AuditEntry
from rollout.middleware import actor_of
from rollout.models import Component, Environment
from rollout.views.history_links import subject_url

PAGE = 50
NUMBER_MAX = 10**15


class HistoryForm(forms.Form):
    """The filters, as they stand in the URL."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Subject, reason or hash"}),
    )
    action = forms.CharField(
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": "rollout.approved", "list": "actions", "autocomplete": "off"}),
    )
    actor = forms.CharField(
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"placeholder": "user name", "autocomplete": "off"}),
    )
    component = forms.CharField(required=False, max_length=80, widget=forms.Select)
    environment = forms.CharField(required=False, max_length=80, widget=forms.Select)
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, model in (("component", Component), ("environment", Environment)):
            names = model.objects.values_list("name", flat=True)
            self.fields[name].widget = forms.Select(choices=[("", "all"), *((one, one) for one in names)])


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Show the audit, newest first."""
    form = HistoryForm(request.GET or None)
    entries, older, newer = _page(_chosen(form), request)
    context = {
        "form": form,
        "entries": [{"row": one, "url": subject_url(one)} for one in entries],
        "older": older,
        "newer": newer,
        "held": WATCH.look(timezone.now()),
        "csv_query": _query(request),
        "actions": _actions(),
        "filtered": bool(_query(request)),
    }
    return render(
        request, "rollout/history.html", context, status=400 if form.is_bound and not form.is_valid() else 200
    )


@require_GET
def history_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Stream the chosen entries as CSV, oldest first, and tell the audit who took them."""
    form = HistoryForm(request.GET or None)
    if form.is_bound and not form.is_valid():
        return history(request)
    chosen, last = _chosen(form), audit.head()[0]
    about = Subject(kind="audit", id="1", label="audit")
    now = timezone.now()
    with transaction.atomic():
        data = {"filters": {key: str(value) for key, value in _given(form).items()}, "up_to": last}
        audit.append(action="history.exported", by=actor_of(request), subject=about, data=data, now=now)
    # streamed after the response began: what is appended meanwhile stays out
    lines = audit_export.csv_lines(chosen.filter(seq__lte=last))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="history-{now:%Y%m%d-%H%M%S}.csv"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _given(form: HistoryForm) -> dict[str, Any]:
    if not form.is_bound or not form.is_valid():
        return {}
    return {key: value for key, value in form.cleaned_data.items() if value}


def _chosen(form: HistoryForm) -> QuerySet[AuditEntry]:
    """Return the entries that the filters leave."""
    entries, given = AuditEntry.objects.all(), _given(form)
    if form.is_bound and not form.is_valid():
        return entries.none()
    for key, lookup in (
        ("action", "action__startswith"),
        ("actor", "actor_name"),
        ("component", "component"),
        ("environment", "environment"),
    ):
        if key in given:
            entries = entries.filter(**{lookup: given[key]})
    if "since" in given:
        entries = entries.filter(at__gte=datetime.combine(given["since"], time(), UTC))
    if "until" in given:
        entries = entries.filter(at__lt=datetime.combine(given["until"], time(), UTC) + timedelta(days=1))
    if "q" in given:
        words = given["q"]
        entries = entries.filter(
            Q(subject_label__icontains=words) | Q(why__icontains=words) | Q(hash__startswith=words)
        )
    return entries


def _page(entries: QuerySet[AuditEntry], request: HttpRequest) -> tuple[list[AuditEntry], str, str]:
    """Return one page and the queries of its neighbours; by sequence number, so that a page does not shift."""
    before, after = _number(request, "before"), _number(request, "after")
    if after:
        rows = list(entries.filter(seq__gt=after).order_by("seq")[: PAGE + 1])
        more_newer, more_older = len(rows) > PAGE, True
        rows = rows[:PAGE][::-1]
    else:
        rows = list((entries.filter(seq__lt=before) if before else entries)[: PAGE + 1])
        more_older, more_newer = len(rows) > PAGE, bool(before)
        rows = rows[:PAGE]
    older = _query(request, before=rows[-1].seq) if rows and more_older else ""
    newer = _query(request, after=rows[0].seq) if rows and more_newer else ""
    return rows, older, newer


def _query(request: HttpRequest, **changes: int) -> str:
    kept = {key: value for key, value in request.GET.items() if value and key not in ("before", "after")}
    return urlencode({**kept, **changes})


def _number(request: HttpRequest, key: str) -> int:
    text = request.GET.get(key, "")
    return min(int(text), NUMBER_MAX) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _actions() -> list[str]:
    return list(AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct())
