"""Pages of incidents and notices: what went wrong, who was told, what was done."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.forms import Form
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from . import audit, incident_page, incidents, storage
from .audit import Actor
from .forms import CloseForm, IncidentFilter, NoteForm, NoticeFilter, SeverityForm
from .models import Attachment, Incident, Notice

SIZES = (25, 50, 100)
# Who is shown the forms. Who may use them stands in the access table of the top floor, which a test compares.
RESPONDERS = frozenset({"deploy-operator", "ops", "triage", "release-owner", "media-eng"})
FORMS: dict[str, type[Form]] = {"note": NoteForm, "severity": SeverityForm, "close": CloseForm}


@require_GET
def incident_list(request: HttpRequest) -> HttpResponse:
    """Show incidents, those that are not closed first."""
    form = IncidentFilter(request.GET or None)
    rows = _filtered(
        form,
        _known(request, Incident.objects.annotate(entry_count=Count("entries")).order_by("-opened_at")),
        ("severity", "component", "environment"),
    )
    wanted = request.GET.get("state", "")
    if wanted in Incident.State.values:
        rows = rows.filter(state=wanted)
    elif wanted != "all":
        rows = rows.exclude(state=Incident.State.CLOSED)
    context = {"form": form, "page_obj": _page(request, rows), "now": timezone.now(), "wanted": wanted}
    return render(request, "monitoring/incident_list.html", context)


@require_GET
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one incident whole."""
    return _show(request, get_object_or_404(Incident, pk=pk))


@require_POST
def incident_note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a line to the timeline."""

    def note(found: Incident, values: dict[str, Any]) -> None:
        incidents.note(found, text=values["text"], by=_actor(request), user=request.user, now=timezone.now())  # type: ignore[arg-type]

    return _do(request, pk, "note", note, "The note is in the timeline.")


@require_POST
def incident_acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an incident in hand."""

    def take(found: Incident, values: dict[str, Any]) -> None:
        incidents.acknowledge(found, by=_actor(request), now=timezone.now())

    return _do(request, pk, "", take, "You have it. Everybody sees that on this page.")


@require_POST
def incident_severity(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an incident another severity."""

    def change(found: Incident, values: dict[str, Any]) -> None:
        incidents.change_severity(
            found, severity=values["severity"], why=values["why"], by=_actor(request), now=timezone.now()
        )

    return _do(request, pk, "severity", change, "The severity is changed; the time to respond counts from the opening.")


@require_POST
def incident_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an incident, and tell the channels that were told of its opening."""

    def close(found: Incident, values: dict[str, Any]) -> None:
        if refusal := _closing(request, found).why_not:
            raise incidents.Conflict(refusal)
        incidents.close(found, resolution=values["resolution"], by=_actor(request), now=timezone.now())

    return _do(request, pk, "close", close, "The incident is closed.")


@require_GET
def attachment(request: HttpRequest, pk: int) -> FileResponse:
    """Give out an attachment that no browser runs, and tell the audit who read it."""
    row = get_object_or_404(Attachment.objects.select_related("incident"), pk=pk)
    try:
        source = storage.path_of(incidents.attachment_root(), row.sha256).open("rb")
    except OSError as error:
        raise Http404(f"The bytes of {row.name} are not where they were kept: {error.strerror}.")
    data = {"attachment": row.pk, "name": row.name, "sha256": row.sha256}
    with audit.turn():
        about = incidents.subject_of(row.incident)
        audit.append(action="attachment.read", by=_actor(request), subject=about, data=data, now=timezone.now())
    response = FileResponse(source, as_attachment=True, filename=row.name, content_type="application/octet-stream")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@require_GET
def notice_list(request: HttpRequest) -> HttpResponse:
    """Show the outbox with every attempt."""
    form = NoticeFilter(request.GET or None)
    rows = _filtered(form, _known(request, Notice.objects.prefetch_related("attempt_set")), ("state", "channel"))
    context = {
        "form": form,
        "page_obj": _page(request, rows),
        "waiting": _known(request, Notice.objects.filter(~Q(state=Notice.State.SENT))).count(),
    }
    return render(request, "monitoring/notice_list.html", context)


def _do(
    request: HttpRequest, pk: int, name: str, verb: Callable[[Incident, dict[str, Any]], None], done: str
) -> HttpResponse:
    """Do what was asked and go back to the page; what was refused is said there, and nothing typed is lost."""
    found = get_object_or_404(Incident, pk=pk)
    form = FORMS[name](request.POST) if name else None
    if form is not None and not form.is_valid():
        return _show(request, found, {name: form}, status=400)
    try:
        # the key of the form, as the top floor keeps it: asked again, nothing is done twice
        with request.once("incident", found.pk):  # type: ignore[attr-defined]
            verb(found, form.cleaned_data if form is not None else {})
    except (incidents.Conflict, ValueError) as refusal:
        found.refresh_from_db()
        return _show(request, found, {name: form} if form else {}, problem=str(refusal), status=409)
    messages.success(request, done)
    return redirect("incident", found.pk)


def _show(
    request: HttpRequest, found: Incident, bound: dict[str, Form] | None = None, *, problem: str = "", status: int = 200
) -> HttpResponse:
    forms = {name: made(initial={"severity": found.severity}) for name, made in FORMS.items()}
    context = {
        **incident_page.facts_of(found, now=timezone.now()),
        "forms": {**forms, **(bound or {})},
        "problem": problem,
        "can_act": bool(RESPONDERS & _roles(request)),
        "closing": _closing(request, found),
    }
    return render(request, "monitoring/incident.html", context, status=status)


def _filtered(form: Form, rows: QuerySet[Any], keys: tuple[str, ...]) -> QuerySet[Any]:
    """Keep what the filters ask for; a filter that cannot be meant keeps nothing."""
    if not form.is_bound:
        return rows
    if not form.is_valid():
        return rows.none()
    return rows.filter(**{key: form.cleaned_data[key] for key in keys if form.cleaned_data[key]})


def _page(request: HttpRequest, rows: QuerySet[Any]) -> Any:
    size = request.GET.get("size", "")
    return Paginator(rows, int(size) if size in map(str, SIZES) else SIZES[0]).get_page(request.GET.get("page"))


def _known(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Keep the rows that the reader may know of; the top floor knows which components his roles are limited to."""
    only: frozenset[str] | None = getattr(request, "limits", None)
    return rows if only is None else rows.filter(component__in=[*only, ""])


def _roles(request: HttpRequest) -> frozenset[str]:
    """Return the user's roles, as the top floor found them; it let nobody in whose roles are for other components."""
    groups: frozenset[str] = getattr(request, "group_names", frozenset())
    return groups


def _closing(request: HttpRequest, found: Incident) -> Any:
    """Return why the reader may not close it (`why_not`), and whether a fresh proof is all that lacks (`prove`)."""
    return request.closing(found)  # type: ignore[attr-defined]  # put there by the top floor, which knows the rules


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]  # put there by the middleware, for every request
    return actor
