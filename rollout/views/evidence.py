"""Takes evidence in and gives it out: uploads, links, downloads, the manifest, the pull-request checklist."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from approvals import people
from approvals.ledger import Refused
from monitoring import audit
from rollout import drafting, evidence, reads
from rollout import pull_request as pull_request_facts
from rollout.middleware import actor_of
from rollout.models import Artifact, Release, Rollout
from rollout.views import releases
from rollout.views.forms_places import LinkForm, UploadForm, label_of
from rollout.views.once import claim

CHUNK_BYTES = 1 << 20
SANDBOX = "sandbox; default-src 'none'"


@require_POST
def artifact_upload(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a file as evidence of a release; a refused one is explained beside its form."""
    release = releases.get_release(pk)
    releases.require_owner(request, release.component)
    form = UploadForm(request.POST, request.FILES)
    kind = request.POST.get("kind", "")
    if not form.is_valid():
        return _again(request, release, kind, "Choose a file first.", status=400)
    file, sidecar = form.cleaned_data["file"], form.cleaned_data["sidecar"]
    try:
        text = _sidecar_text(sidecar) if sidecar else ""
        kept = evidence.receive(release, kind=kind, name=file.name, chunks=file.chunks(CHUNK_BYTES), sidecar=text)
        with claim(request, _page(release)):
            evidence.record(release, kept, **releases.who(request))
            drafting.recheck_release(release, now=timezone.now())
    except Refused as refusal:
        return _again(request, release, kind, str(refusal), status=409)
    return _done(request, release, f"{label_of(kind)}: {kept.name} is kept, sha256 {kept.sha256[:12]}…")


@require_POST
def link_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a link to a CI run as evidence of a release."""
    release = releases.get_release(pk)
    releases.require_owner(request, release.component)
    form = LinkForm(request.POST)
    kind, url = request.POST.get("kind", ""), request.POST.get("url", "")
    if not form.is_valid():
        return _again(
            request, release, kind, "Paste the https:// link of the run, at most 300 characters.", status=400, url=url
        )
    try:
        with claim(request, _page(release)):
            evidence.link(release, kind=kind, url=form.cleaned_data["url"], **releases.who(request))
            drafting.recheck_release(release, now=timezone.now())
    except Refused as refusal:
        return _again(request, release, kind, str(refusal), status=409, url=url)
    return _done(request, release, f"{label_of(kind)}: the link is kept.")


@require_GET
def artifact(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Give out a file as an attachment that no browser runs, and tell the audit who read it."""
    row = get_object_or_404(Artifact.objects.select_related("release__component"), pk=pk)
    user: Any = request.user
    if not people.current_roles(user, row.release.component.name):
        raise PermissionDenied(f"This file is for people with a role for {row.release.component.name}.")
    try:
        source = evidence.path_of(row).open("rb")
    except OSError as error:
        raise Http404(f"The bytes of {row.name} are not where they were kept: {error.strerror}.")
    data = {"artifact": row.pk, "name": row.name, "sha256": row.sha256}
    with audit.turn():
        audit.append(
            action="artifact.read",
            by=actor_of(request),
            subject=evidence.subject_of(row.release),
            data=data,
            now=timezone.now(),
        )
    response = FileResponse(source, as_attachment=True, filename=row.name, content_type="application/octet-stream")
    return _sealed(response)


@require_GET
def manifest(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Give out the exact bytes whose sha256 was signed, and tell the audit who read them."""
    rollout = get_object_or_404(Rollout, pk=pk)
    if not rollout.manifest:
        raise Http404("No manifest is frozen: the rollout was not validated yet.")
    reads.manifest(rollout, by=actor_of(request), now=timezone.now())
    response = HttpResponse(rollout.manifest.encode(), content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="rollout-{rollout.pk}-manifest.json"'
    response.headers["ETag"] = f'"{rollout.digest}"'
    return _sealed(response)


@require_GET
def pull_request(request: HttpRequest, pk: int) -> HttpResponse:
    """Give out the checklist to paste into the pull request, ticked only where true; tell the audit who read it."""
    rollout = get_object_or_404(Rollout.objects.with_places().select_related("backup"), pk=pk)
    now = timezone.now()
    reads.checklist(rollout, by=actor_of(request), now=now)
    text = pull_request_facts.markdown(rollout, now=now)
    return HttpResponse(
        text, content_type="text/markdown; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"}
    )


def _sidecar_text(sidecar: Any) -> str:
    if (sidecar.size or 0) > evidence.SIDECAR_LIMIT_BYTES:
        raise Refused(f"The .sha256 file is larger than {evidence.SIDECAR_LIMIT_BYTES} bytes; is it really one?")
    text = sidecar.read().decode("utf-8", "replace")
    return text or "(empty)"  # an empty sidecar is a wrong one, not a missing one


def _again(request: HttpRequest, release: Release, kind: str, why: str, *, status: int, url: str = "") -> HttpResponse:
    return releases.show(request, release, problem=(kind, why), url=url, status=status)


def _done(request: HttpRequest, release: Release, what: str) -> HttpResponse:
    messages.success(request, what)
    return redirect(_page(release))


def _page(release: Release) -> str:
    return f"{reverse('release', args=[release.pk])}#evidence"


def _sealed(response: HttpResponseBase) -> HttpResponseBase:
    """Keep a browser from guessing a type and from running anything in what it was given."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["Cache-Control"] = "private, no-store"
    return response
