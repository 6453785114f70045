"""One entry of the audit: what it changed field by field, its proof checked before the reader's eyes."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from approvals.models import SignOff
from monitoring import audit, audit_export, field_diff, verify
from monitoring.models import AuditEntry
from rollout import access
from rollout.views.history_links import subject_url

UNSHOWN = frozenset({"salt", "name", "printed"})  # the names stand above


@require_GET
def history_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the entry of a number; to htmx only what stands below its line in the list."""
    row = get_object_or_404(AuditEntry, seq=pk)
    told = json.loads(row.body)
    data = told.get("data")
    changed, rest = field_diff.told(data) if data else ((), ())
    context = {
        "row": row,
        "url": subject_url(row),
        "request_id": told.get("actor", {}).get("request_id", ""),
        "changed": changed,
        "told": rest,
        "manifests": _manifests(row, told),
        "printed": json.loads(row.person).get("printed", "") if row.person else "",
        "person": _person(row) if access.groups_of(request) & access.AUDITORS else (),
        "problems": _problems(row),
        "newer": row.seq + 1 if row.seq < audit.head()[0] else 0,
    }
    own = request.headers.get("HX-Request") == "true"
    return render(request, "rollout/_history_entry.html" if own else "rollout/history_entry.html", context)


def _problems(row: AuditEntry) -> tuple[str, ...]:
    """Verify the entry against itself and the one before it, as the offline verifier does."""
    before = AuditEntry.objects.filter(seq=row.seq - 1).values_list("hash", flat=True).first()
    after = (row.seq - 1, before or verify.GENESIS)
    return tuple(verify.verify_entries(audit_export.rows(AuditEntry.objects.filter(pk=row.pk)), after=after).problems)


def _person(row: AuditEntry) -> tuple[tuple[str, str], ...]:
    """Return the personal data behind the entry, until it is erased."""
    if not row.person:
        return ()
    return tuple((key, str(value)) for key, value in json.loads(row.person).items() if value and key not in UNSHOWN)


def _manifests(row: AuditEntry, told: dict[str, Any]) -> tuple[int, int]:
    """Return the sign-off that an entry opened and the one before it, when there are two manifests to compare."""
    if row.action != "sign_off.opened":
        return (0, 0)
    number = told["data"].get("sign_off", 0)
    about = {"subject_kind": row.subject_kind, "subject_id": row.subject_id}
    older = SignOff.objects.filter(pk__lt=number, **about).order_by("-pk").values_list("pk", flat=True).first()
    return (older, number) if older else (0, 0)
