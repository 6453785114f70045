"""Every manifest that a rollout ever had, and how two of them differ, field by field."""

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from approvals.models import SignOff
from monitoring import field_diff
from rollout import reads
from rollout.middleware import actor_of
from rollout.models import Rollout


@require_GET
def rollout_manifests(request: HttpRequest, pk: int) -> HttpResponse:
    """List the sign-offs of a rollout and compare two of their manifests; by default the last two."""
    rollout = get_object_or_404(Rollout.objects.with_places(), pk=pk)
    rows = list(SignOff.objects.filter(subject_kind="rollout", subject_id=str(pk)).order_by("pk"))
    before, after = _pair(request, rows)
    if digests := [one.digest for one in (before, after) if one]:
        reads.manifests(rollout, digests, by=actor_of(request), now=timezone.now())
    same = before is not None and after is not None and before.digest == after.digest
    context = {
        "rollout": rollout,
        "rows": rows[::-1],
        "before": before,
        "after": after,
        "same": same,
        "parts": _parts(before, after) if before and after else [],
        "fields": field_diff.flat(json.loads(after.manifest)) if after and not before else (),
    }
    return render(request, "rollout/manifests.html", context)


def _pair(request: HttpRequest, rows: list[SignOff]) -> tuple[SignOff | None, SignOff | None]:
    """Return what is compared with what; of one manifest alone there is nothing to compare it with."""
    known = {str(row.pk): row for row in rows}
    asked = request.GET.get("from"), request.GET.get("to")
    if any(asked):
        if not all(one in known for one in asked):
            raise Http404("This rollout has no such manifests.")
        return known[str(asked[0])], known[str(asked[1])]
    last = rows[-2:]
    return (last[0], last[1]) if len(last) == 2 else (None, last[0] if last else None)


def _parts(before: SignOff, after: SignOff) -> list[dict[str, Any]]:
    """Return the differences by part of the manifest."""
    found: dict[str, list[field_diff.Field]] = {}
    for one in field_diff.differences(json.loads(before.manifest), json.loads(after.manifest)):
        part = one.path.partition(".")[0].partition("[")[0]
        found.setdefault(part, []).append(one)
    return [{"name": name.replace("_", " "), "fields": fields} for name, fields in found.items()]
