"""What CI brings: releases, artifacts, links to its runs."""

import hashlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from approvals.ledger import Refused
from monitoring import storage
from rollout import drafting, evidence, states, winners
from rollout.api import shapes
from rollout.api.auth import Bearer, component_of, release_of, who
from rollout.api.errors import ApiError
from rollout.api.once import again, is_known, once, respond
from rollout.component import LINKS, UPLOADS
from rollout.models import Artifact, Component, Release
from rollout.states import RolloutState as R

router = Router(tags=["releases"])
ERRORS = {code: shapes.Problem for code in (400, 401, 403, 404, 409, 413, 422)}
RELEASE_BODY = {201: dict[str, Any], **ERRORS}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
        },
    },
    "parameters": [
        {"in": "header", "name": "X-Filename", "schema": {"type": "string"}, "description": "name of the raw body"},
        {"in": "header", "name": "X-SHA256", "schema": {"type": "string"}, "description": "64 hex digits; checked"},
    ],
}


@router.post("/components/{name}/releases", auth=Bearer("create_release"), response=RELEASE_BODY)
def create_release(request: HttpRequest, name: str, body: shapes.ReleaseIn) -> HttpResponse:
    """Create a release of the token's component. Takes an Idempotency-Key."""
    component = component_of(request, name)

    def work() -> tuple[int, dict[str, Any]]:
        _require_new(component, body.version)
        try:
            return 201, shapes.release(drafting.create_release(component, **body.dict(), **who(request)))
        except Refused as refusal:
            _require_new(component, body.version)  # somebody may have made it between our look and our write
            raise ApiError(422, str(refusal))

    return once(request, work)


@router.get("/components/{name}/releases", auth=Bearer("list_releases"), response={200: list[dict[str, Any]], **ERRORS})
def list_releases(request: HttpRequest, name: str, version: str = "", limit: int = 50) -> Any:
    """List the newest releases of the token's component."""
    releases = Release.objects.filter(component=component_of(request, name)).select_related("component")
    if version:
        releases = releases.filter(version=version)
    return [shapes.release(one) for one in releases[: max(1, min(limit, 200))]]


@router.get("/releases/{int:pk}", auth=Bearer("get_release"), response={200: dict[str, Any], **ERRORS})
def get_release(request: HttpRequest, pk: int) -> Any:
    """Return a release with its evidence."""
    return shapes.release(release_of(request, pk))


@router.api_operation(
    ["PUT", "POST"],
    "/releases/{int:pk}/artifacts/{kind}",
    auth=Bearer("put_artifact"),
    response={200: dict[str, Any], 201: dict[str, Any], **ERRORS},
    openapi_extra=BODY,
)
def put_artifact(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Attach a file: the raw body, or multipart by POST. Bytes that are there already (X-SHA256) answer 200.

    Takes an Idempotency-Key.
    """
    release = release_of(request, pk)
    drafting.require_owner(who(request)["user"], release.component)
    if kind not in UPLOADS:
        raise ApiError(422, f"{kind!r} is no kind of artifact", f"one of {', '.join(UPLOADS)}")
    if request.content_type == "multipart/form-data":
        file = request.FILES.get("file")
        if file is None:
            raise ApiError(400, "there is no part named file", "POST with a file in the part named file")
        return _keep(request, release, kind, str(file.name), iter(file.chunks(storage.CHUNK_BYTES)))
    name = request.headers.get("X-Filename", "")
    if not name:
        raise ApiError(400, "the file has no name", "the header X-Filename")
    return _keep(request, release, kind, name, _body(request))


@router.post("/releases/{int:pk}/links", auth=Bearer("add_link"), response=RELEASE_BODY)
def add_link(request: HttpRequest, pk: int, body: shapes.LinkIn) -> HttpResponse:
    """Link a CI run, replacing an earlier one of its kind. Takes an Idempotency-Key."""
    release = release_of(request, pk)
    drafting.require_owner(who(request)["user"], release.component)
    if body.kind not in LINKS:
        raise ApiError(422, f"{body.kind!r} is no kind of link", f"one of {', '.join(LINKS)}")

    def work() -> tuple[int, dict[str, Any]]:
        try:
            made = evidence.link(release, kind=body.kind, url=body.url, **who(request))
        except Refused as refusal:
            raise _refused(release, refusal)
        drafting.recheck_release(release, now=who(request)["now"])
        return 201, shapes.link(made)

    return once(request, work)


def _keep(request: HttpRequest, release: Release, kind: str, name: str, chunks: Iterator[bytes]) -> HttpResponse:
    expected = request.headers.get("X-SHA256", "").lower()
    if expected and not evidence.SHA256.fullmatch(expected):
        raise ApiError(400, "X-SHA256 cannot be read", "64 hexadecimal digits")
    if is_known(request):
        # it is evidence already, and the release may be on its way by now: the bytes are only compared
        return again(request, f"{name} {_sha256(chunks)}")
    here = Artifact.objects.filter(release=release, rollout=None, kind=kind, name=name, replaced_at=None).first()
    if here is not None and here.sha256 == expected:
        return respond(200, shapes.artifact(here))
    try:
        received = evidence.receive(release, kind=kind, name=name, chunks=chunks, sidecar=expected)
    except Refused as refusal:
        raise _refused(release, refusal)

    def work() -> tuple[int, dict[str, Any]]:
        try:
            made = evidence.record(release, received, **who(request))
        except Refused as refusal:
            raise _refused(release, refusal)
        drafting.recheck_release(release, now=who(request)["now"])
        return 201, shapes.artifact(made)

    return once(request, work, f"{name} {received.sha256}")


def _sha256(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _body(request: HttpRequest) -> Iterator[bytes]:
    """Yield the raw body as it comes in; refuse one that is too large before it is read, or that ends too soon."""
    length = int(request.headers.get("Content-Length") or 0)
    if length > settings.GR_UPLOAD_LIMIT:
        raise ApiError(413, f"the body has {length} bytes", f"at most {settings.GR_UPLOAD_LIMIT} bytes")
    got = 0
    while chunk := request.read(storage.CHUNK_BYTES):
        got += len(chunk)
        yield chunk
    if got != length:
        raise ApiError(400, f"the body ended after {got} of {length} bytes; nothing was kept", "the whole file")


def _require_new(component: Component, version: str) -> None:
    found = Release.objects.filter(component=component, version=version).first()
    if found is not None:
        said = f"{component.name} {version} exists already"
        raise ApiError(409, said, "a new version; none ever changes", winners.of("release", found.pk))


def _refused(release: Release, refusal: Refused) -> ApiError:
    """Return 409 while the release is on its way and takes no evidence, otherwise 422: what came is not acceptable."""
    holder = release.rollouts.filter(state__in=[R.VALIDATING, R.QUEUED, *states.ACTIVE]).first()
    if holder is None:
        return ApiError(422, str(refusal))
    return ApiError(409, str(refusal), "evidence before the submit, or after its end", winners.of_rollout(holder.pk))
