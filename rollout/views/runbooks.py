"""Pages of runbooks: the list, one filled with a rollout's values, and its tick boxes."""

from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from approvals import people
from rollout import access, runbook_ticks
from rollout.middleware import actor_of
from rollout.models import Rollout, Runbook, RunbookTick
from rollout.views.once import claim
from rollout.views.refusals import sentences

CHOICES = 12


@require_GET
def runbook_list(request: HttpRequest) -> HttpResponse:
    """Show the runbooks of every component, and the rollouts that need one now."""
    current = access.known(request.user, Runbook.objects.filter(current=True), "component__name")
    runbooks = current.select_related("component")
    grouped = [(component, list(rows)) for component, rows in groupby(runbooks, key=lambda row: row.component)]
    active = Rollout.objects.active().with_places()
    busy = access.known(request.user, active, "target__component__name")
    return render(
        request, "rollout/runbook_list.html", {"grouped": grouped, "busy": [(one, _needed(one)) for one in busy]}
    )


@require_GET
def runbook(request: HttpRequest, component: str, slug: str) -> HttpResponse:
    """Show one runbook, with `?rollout=ID` filled with that rollout's values and with its ticks."""
    row = get_object_or_404(
        Runbook.objects.select_related("component"), component__name=component, slug=slug, current=True
    )
    rollout = _rollout(request, component)
    text = runbook_ticks.filled(row, rollout)
    boxes = runbook_ticks.boxes(row, rollout, text) if rollout else {}
    user: Any = request.user
    context = {
        "runbook": row,
        "rollout": rollout,
        "title": text.title or row.title,
        "blocks": _blocks(text.parts, boxes),
        "unfilled": text.unfilled if rollout else (),
        "done": sum(1 for box in boxes.values() if box.done),
        "total": len(text.items),
        "others": row.component.runbooks.filter(current=True),
        "choices": Rollout.objects.filter(target__component=row.component).with_places()[:CHOICES],
        "record": _record(rollout, slug),
        "can_tick": rollout is not None
        and bool(people.current_roles(user, component) & (access.RESPONDERS | access.DECIDERS)),
    }
    return render(request, "rollout/runbook.html", context)


@require_POST
@sentences
def runbook_tick(request: HttpRequest, pk: int) -> HttpResponse:
    """Tick a box for a rollout, or clear it."""
    row = get_object_or_404(Runbook.objects.select_related("component"), pk=pk)
    rollout = get_object_or_404(Rollout.objects.with_places(), pk=_number(request.POST.get("rollout")))
    item = _number(request.POST.get("item"))
    user: Any = request.user
    done = request.POST.get("done") == "1"
    page = reverse("runbook", args=[row.component.name, row.slug])
    box = f"{page}?{urlencode({'rollout': rollout.pk})}#box-{item}"
    with claim(request, box):
        runbook_ticks.tick(row, rollout, item=item, done=done, user=user, by=actor_of(request), now=timezone.now())
    return redirect(box)


def _needed(rollout: Rollout) -> str:
    """Return the runbook that a rollout in this state calls for."""
    return {"WATCHING": "monitor", "RUNNING": "deploy", "ROLLING_BACK": "rollback", "NOT_RESTORED": "incident"}.get(
        rollout.state, "incident"
    )


def _rollout(request: HttpRequest, component: str) -> Rollout | None:
    wanted = request.GET.get("rollout", "")
    if not wanted:
        return None
    rows = Rollout.objects.with_places().select_related("backup").filter(target__component__name=component)
    return get_object_or_404(rows, pk=_number(wanted))


def _blocks(parts: Any, boxes: dict[int, Any]) -> list[dict[str, Any]]:
    """Group neighbouring tasks into one list."""
    blocks: list[dict[str, Any]] = []
    for is_task, run in groupby(parts, key=lambda part: bool(part.item)):
        if is_task:
            blocks.append({"tasks": [{"part": part, "box": boxes.get(part.item)} for part in run]})
        else:
            blocks.append({"text": "\n\n".join(part.text for part in run)})
    return blocks


def _record(rollout: Rollout | None, slug: str) -> list[RunbookTick]:
    if rollout is None:
        return []
    rows = RunbookTick.objects.filter(rollout=rollout, runbook__slug=slug)
    return list(rows.select_related("by__person", "runbook").order_by("-pk")[:200])


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 15 else 0
