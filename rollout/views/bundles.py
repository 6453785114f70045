"""The auditor's zips to take away: of one rollout here, of a period on the population page."""

import hashlib
import tempfile

from django.conf import settings
from django.http import FileResponse, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from approvals.people import limits
from rollout import access, bundle, reads
from rollout.bundle import Scope
from rollout.middleware import actor_of
from rollout.models import Rollout


@require_GET
def rollout_bundle(request: HttpRequest, pk: int) -> FileResponse:
    """Hand over the bundle of a rollout, with the files of its evidence."""
    rollout = get_object_or_404(Rollout.objects.with_places(), pk=pk)
    return taken(request, bundle.of_rollout(rollout))


def taken(request: HttpRequest, scope: Scope) -> FileResponse:
    """Write a bundle into a file without a name, tell the audit, and hand it over.

    Not while it is written: whoever reads slowly would hold the moment of the database open.
    """
    now = timezone.now()
    file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the answer closes it
    written = bundle.write(scope, file, now=now)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    reads.bundle(scope, written, sha256, by=actor_of(request), now=now)
    file.seek(0)
    response = FileResponse(file, as_attachment=True, filename=scope.name, content_type="application/zip")
    response.headers["X-Bundle-SHA256"], response.headers["Cache-Control"] = sha256, "private, no-store"
    return response


def may_take(request: HttpRequest) -> bool:
    """Say whether the reader may take a bundle: the piece of the chain in it tells of every component."""
    return bool(access.groups_of(request) & access.AUDITORS) and limits(request.user) is None
