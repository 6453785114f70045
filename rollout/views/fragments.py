"""The parts of the rollout page that are polled with an ETag, the log of a step, and the series of its charts."""

import hashlib
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET

from monitoring import watcher
from monitoring.models import Watch
from rollout import reads
from rollout.intent import OUTPUT
from rollout.middleware import actor_of
from rollout.models import Run, Step
from rollout.views import charts, live
from rollout.views.contexts import live_context
from rollout.views.page import page_of


@require_GET
def rollout_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the part of the page that moves: the sentence, the rail, the open runs, the watch."""
    page = page_of(request, pk)
    return _tagged(request, render_to_string("rollout/_rollout_live.html", live_context(page), request))


@require_GET
def rollout_verbs(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the buttons that this person may click now."""
    page = page_of(request, pk)
    context = {"rollout": page.rollout, "verbs": page.verbs, "poll_s": live_context(page)["poll_s"]}
    return _tagged(request, render_to_string("rollout/_rollout_verbs.html", context, request))


@require_GET
def rollout_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer what a rollback would undo now."""
    page = page_of(request, pk)
    context = {"rollout": page.rollout, "undo": page.undo, "changes": page.changes}
    return _tagged(request, render_to_string("rollout/_rollout_undo.html", context, request))


@require_GET
def step_log(request: HttpRequest, pk: int) -> HttpResponse | FileResponse:
    """Answer the whole output of a step as plain text, audited; to htmx the end of it, as part of a page."""
    step = get_object_or_404(Step, pk=pk)
    if request.headers.get("HX-Request"):
        tail, truncated = live.tail_of(step)
        context = {
            "text": tail or "This step printed nothing, or its output is no longer kept.",
            "truncated": truncated,
            "label": step.title,
        }
        return _tagged(request, render_to_string("_log.html", context, request))
    try:
        source = (live.folder_of(step) / OUTPUT).open("rb")
    except OSError:
        raise Http404("the output of this step is no longer kept on this host")
    reads.log(step, by=actor_of(request), now=timezone.now())
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return FileResponse(source, content_type="text/plain; charset=utf-8", headers=headers)


@require_GET
def watch_series(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the series of one gate (?gate=NAME) of the newest watch of a rollout, as charts.js draws it."""
    run = Run.objects.filter(rollout_id=pk, watch__isnull=False).select_related("watch").order_by("-pk").first()
    if run is None or run.watch is None:
        raise Http404("this rollout was not watched yet")
    gate, watch = request.GET.get("gate", ""), run.watch
    etag = _tag(f"{watch.pk}:{watch.polls}:{watch.ends_at}:{gate}")
    if request.headers.get("If-None-Match") == etag:
        return _not_modified(etag)
    return _json(charts.chart(watcher.series(watch), gate), watch, gate, etag)


def _json(chart: dict[str, Any] | None, watch: Watch, gate: str, etag: str) -> HttpResponse:
    if chart is None:
        known = ", ".join(one["name"] for one in watch.profile["gates"])
        raise Http404(f"no gate {gate!r}: this watch has {known}")
    answer = JsonResponse(chart)
    answer.headers["ETag"] = etag
    patch_cache_control(answer, private=True, no_cache=True)
    return answer


def _tagged(request: HttpRequest, text: str) -> HttpResponse:
    """Answer a fragment with its ETag, or 304 when the reader has it already."""
    etag = _tag(text)
    if request.headers.get("If-None-Match") == etag:
        return _not_modified(etag)
    answer = HttpResponse(text, headers={"ETag": etag})
    patch_cache_control(answer, private=True, no_cache=True)
    return answer


def _tag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _not_modified(etag: str) -> HttpResponse:
    answer = HttpResponse(status=304, headers={"ETag": etag})
    patch_cache_control(answer, private=True, no_cache=True)
    return answer
