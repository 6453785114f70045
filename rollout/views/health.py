"""Machines ask here: is the process alive, can it work, what does it measure."""

import hmac
import ipaddress

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from rollout import measures, readiness


@require_safe
@never_cache
@login_not_required
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; asks nothing else, so that a slow database does not get it killed."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether this installation can do its work, as JSON or a line a check; 503 names what is wrong."""
    checks = readiness.look()
    wrong = [check.name for check in checks if not check.ok]
    status = 503 if wrong else 200
    if request.get_preferred_type(["application/json", "text/plain"]) == "text/plain":
        lines = [f"{'ok' if check.ok else 'bad':<4}{check.name}: {check.detail}\n" for check in checks]
        return HttpResponse("".join(lines), status=status, content_type="text/plain; charset=utf-8")
    body = {
        "status": "unready" if wrong else "ready",
        "wrong": wrong,
        "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in checks},
    }
    return JsonResponse(body, status=status)


@require_safe
@never_cache
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the gauges as Prometheus text, to this machine, or to whoever holds GR_METRICS_TOKEN."""
    if not (_has_token(request) or _is_local(request)):
        raise PermissionDenied(
            "Metrics are for this machine, or for a scraper with Authorization: Bearer GR_METRICS_TOKEN."
        )
    return HttpResponse(measures.text(), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    expected = settings.GR_METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def _is_local(request: HttpRequest) -> bool:
    """Say whether the request began on this machine; behind a proxy every request seems to."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
