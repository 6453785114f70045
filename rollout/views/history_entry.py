"""One entry of the audit: what it changed field by field, its proof checked before the reader's eyes."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from approvals.models import SignOff
from monitoring import audit, audit_export, audit_times, audit_told, field_diff, raw_rows, verify
from monitoring.models import AuditEntry
from rollout import access
from rollout.views.history_links import subject_url

UNSHOWN = frozenset({"salt", "name", "printed"})  # the names stand above


@require_GET
@raw_rows.whatever_stands
def history_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the entry of a number; to htmx only what stands below its line in the list."""
    row = get_object_or_404(AuditEntry, seq=pk)
    audit_times.tell_kept([row])
    told, person = _read(row.body), _read(row.person)
    data = told.get("data")
    changed, rest = field_diff.told(data) if data else ((), ())
    context = {
        "row": row,
        "url": subject_url(row),
        "request_id": told.get("actor", {}).get("request_id", ""),
        "changed": changed,
        "told": rest,
        "manifests": _manifests(row, told),
        "printed": person.get("printed", ""),
        "person": _shown(person) if access.groups_of(request) & access.AUDITORS else (),
        "problems": _problems(row),
        "newer": row.seq + 1 if row.seq < audit.head()[0] else 0,
    }
    own = request.headers.get("HX-Request") == "true"
    return render(request, "rollout/_history_entry.html" if own else "rollout/history_entry.html", context)


def _problems(row: AuditEntry) -> tuple[str, ...]:
    """Verify the entry against itself, the one before it, and the one after it or the head, as the verifiers do."""
    mine = AuditEntry.objects.filter(pk=row.pk)
    with raw_rows.any_text():  # also where the page is drawn with codes in place of what is no text
        before = AuditEntry.objects.filter(seq=row.seq - 1).values_list("hash", flat=True).first()
        after = (row.seq - 1, before or (verify.GENESIS if row.seq == 1 else "none"))
        sealed = verify.verify_entries(audit_export.rows(mine), after=after).problems
        return tuple(dict.fromkeys([*sealed, *audit_told.told(mine)[1]]))


def _read(text: str) -> dict[str, Any]:
    """Return what a body or the personal data behind it tells; nothing where somebody wrote what no entry has."""
    try:
        told = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    parts = (told.get("actor", {}), told.get("data", {})) if isinstance(told, dict) else ("",)
    return told if all(isinstance(part, dict) for part in parts) else {}


def _shown(person: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the personal data behind the entry, until it is erased."""
    return tuple((key, str(value)) for key, value in person.items() if value and key not in UNSHOWN)


def _manifests(row: AuditEntry, told: dict[str, Any]) -> tuple[int, int]:
    """Return the sign-off that an entry opened and the one before it, when there are two manifests to compare."""
    number = told.get("data", {}).get("sign_off", 0)
    if row.action != "sign_off.opened" or not isinstance(number, int):
        return (0, 0)
    about = {"subject_kind": row.subject_kind, "subject_id": row.subject_id}
    older = SignOff.objects.filter(pk__lt=number, **about).order_by("-pk").values_list("pk", flat=True).first()
    return (older, number) if older else (0, 0)
