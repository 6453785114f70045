"""What CI may know: where rollouts stand, what is missing, what is signed, and the evidence itself."""

from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Router

from monitoring import audit
from rollout import evidence, reads, transitions
from rollout.api import shapes
from rollout.api.auth import Bearer, artifact_of, component_of, rollout_of, token_of, who
from rollout.api.errors import ApiError
from rollout.models import Rollout
from rollout.states import RolloutState

router = Router(tags=["rollouts"])
ERRORS = {code: shapes.Problem for code in (400, 401, 403, 404, 409, 422)}


@router.get("/rollouts", auth=Bearer("list_rollouts"), response={200: list[dict[str, Any]], **ERRORS})
def list_rollouts(
    request: HttpRequest, component: str = "", environment: str = "", state: str = "", limit: int = 50
) -> Any:
    """List the newest rollouts of the token's component."""
    if component:
        component_of(request, component)
    if state and not shapes.known_state(state):
        raise ApiError(422, f"{state!r} is no state of a rollout", f"one of {', '.join(RolloutState)}")
    rollouts = Rollout.objects.with_places().filter(target__component=token_of(request).component)
    if environment:
        rollouts = rollouts.filter(target__environment__name=environment)
    if state:
        rollouts = rollouts.filter(state=state)
    return [shapes.rollout(one) for one in rollouts[: max(1, min(limit, 200))]]


@router.get("/rollouts/{int:pk}", auth=Bearer("get_rollout"), response={200: dict[str, Any], **ERRORS})
def get_rollout(request: HttpRequest, pk: int) -> Any:
    """Return where a rollout stands, with its sign-off, runs and steps."""
    rollout = rollout_of(request, pk)
    runs = rollout.runs.select_related("watch").prefetch_related("steps")
    sign_off = rollout.sign_off
    signed = {"state": sign_off.state, "expires_at": shapes.moment(sign_off.expires_at)} if sign_off else None
    more = {"url": transitions.url_of(rollout), "sign_off": signed, "runs": [shapes.run(one) for one in runs]}
    made = [shapes.artifact(one) for one in rollout.artifacts.filter(replaced_at=None)]
    return {**shapes.rollout(rollout), **more, "artifacts": made}


@router.get("/rollouts/{int:pk}/checklist", auth=Bearer("get_checklist"), response={200: dict[str, Any], **ERRORS})
def get_checklist(request: HttpRequest, pk: int) -> Any:
    """Return the checklist of a rollout as it stands now."""
    return shapes.checklist(evidence.checklist(rollout_of(request, pk)))


@router.get("/rollouts/{int:pk}/manifest", auth=Bearer("get_manifest"), response={200: dict[str, Any], **ERRORS})
def get_manifest(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the exact bytes whose sha256 is the digest that is signed; the audit keeps who read them."""
    rollout = rollout_of(request, pk)
    if not rollout.manifest:
        raise ApiError(404, "no manifest is frozen yet", "a rollout that was validated")
    asker = who(request)
    reads.manifest(rollout, by=asker["by"], now=asker["now"])
    answer = HttpResponse(rollout.manifest.encode(), content_type="application/json")
    answer.headers["ETag"] = f'"{rollout.digest}"'
    return answer


@router.get("/artifacts/{int:pk}", auth=Bearer("get_artifact"), response={200: bytes, **ERRORS})
def get_artifact(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Return a file of evidence as it was brought; the audit keeps who read it."""
    row, asker = artifact_of(request, pk), who(request)
    try:
        source = evidence.path_of(row).open("rb")
    except OSError as error:
        raise Http404(f"the bytes of {row.name} are not where they were kept: {error.strerror}")
    data = {"artifact": row.pk, "name": row.name, "sha256": row.sha256}
    subject = evidence.subject_of(row.release)
    with audit.turn():
        audit.append(action="artifact.read", by=asker["by"], subject=subject, data=data, now=asker["now"])
    answer = FileResponse(source, as_attachment=True, filename=row.name, content_type="application/octet-stream")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["X-SHA256"] = row.sha256
    return answer
