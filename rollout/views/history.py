"""The history page: the audit with filters, page by page, each entry with its proof; and as CSV and JSON lines."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring import audit, audit_export, audit_pages, audit_times, raw_rows
from monitoring.audit import Subject
from monitoring.audit_pages import Wanted
from monitoring.models import AuditEntry
from rollout import access
from rollout.middleware import actor_of
from rollout.views.history_form import NUMBER_MAX, HistoryForm, people_to_offer, wanted_of
from rollout.views.history_line import line
from rollout.views.verified import verified

PAGE = 50
AUDIT = Subject(kind="audit", id="1", label="audit")


@require_GET
@raw_rows.whatever_stands
def history(request: HttpRequest) -> HttpResponse:
    """Show the audit, newest first."""
    form = HistoryForm(request.GET or None)
    entries, older, newer = _page(form, request)
    form.offer(request.user)
    filters, base = _query(request), reverse("history")
    context = {
        "form": form,
        "unnumbered": audit_pages.unnumbered(),
        "entries": [{"row": one, "line": line(one)} for one in entries],
        "base": base,
        "older": older,
        "newer": newer,
        **verified(timezone.now()),
        "filters": f"?{filters}" if filters else "",
        "actors": people_to_offer(),
        "may_export": bool(access.groups_of(request) & access.AUDITORS),
    }
    wrong = form.is_bound and not form.is_valid()
    return render(request, "rollout/history.html", context, status=400 if wrong else 200)


@require_GET
def history_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Stream the chosen entries as CSV, oldest first."""
    return _export(request, "csv", "text/csv; charset=utf-8")


@require_GET
def history_jsonl(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Stream the chosen entries as `verify.py` reads them; without filters the whole chain with its checkpoints."""
    return _export(request, "jsonl", "application/jsonl; charset=utf-8")


def _export(request: HttpRequest, kind: str, content: str) -> HttpResponse | StreamingHttpResponse:
    """Tell the audit who took what, then stream it: what is appended meanwhile stays out."""
    form = HistoryForm(request.GET or None)
    if form.is_bound and not form.is_valid():
        return history(request)
    wanted, now = wanted_of(form, request.user), timezone.now()
    with audit.turn():
        upto = audit.head()[0]
        data = {"filters": {key: str(value) for key, value in form.given().items()}, "up_to": upto, "format": kind}
        audit.append(action="history.exported", by=actor_of(request), subject=AUDIT, data=data, now=now)
    response = StreamingHttpResponse(_lines(kind, wanted, upto), content_type=content)
    response.headers["Content-Disposition"] = f'attachment; filename="{_name(form, kind, now)}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _lines(kind: str, wanted: Wanted, upto: int) -> Iterator[str]:
    pieces = audit_pages.windows(wanted, upto=upto)
    if kind == "csv":
        return audit_export.csv_pieces(pieces)
    return audit_export.jsonl_pieces(pieces, signed_to=upto if wanted == Wanted() else 0)


def _name(form: HistoryForm, kind: str, now: datetime) -> str:
    return f"history{'-filtered' if form.given() else ''}-{now:%Y%m%d-%H%M%S}.{kind}"


def _page(form: HistoryForm, request: HttpRequest) -> tuple[list[AuditEntry], str, str]:
    """Return one page and the queries of its neighbours; by sequence number, so that a page does not shift."""
    wanted, before, after = wanted_of(form, request.user), _number(request, "before"), _number(request, "after")
    seqs = audit_pages.find(wanted, before=0 if after else before, after=after, limit=PAGE + 1)
    more = len(seqs) > PAGE
    # of what lies above, the page is the oldest part; of what lies below, the newest
    seqs = seqs[-PAGE:] if after else seqs[:PAGE]
    rows = {row.seq: row for row in AuditEntry.objects.filter(seq__in=seqs).defer("body", "person")}
    found = [rows[seq] for seq in seqs if seq in rows]
    audit_times.tell_kept(found)
    older = _query(request, before=seqs[-1]) if seqs and (more or after) else ""
    newer = _query(request, after=seqs[0]) if seqs and (more if after else before) else ""
    return found, older, newer


def _query(request: HttpRequest, **changes: int) -> str:
    kept = {key: value for key, value in request.GET.items() if value and key not in ("before", "after")}
    return urlencode({**kept, **changes})


def _number(request: HttpRequest, key: str) -> int:
    text = request.GET.get(key, "")
    return min(int(text), NUMBER_MAX) if text.isascii() and text.isdigit() and len(text) < 20 else 0
