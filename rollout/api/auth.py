"""Who asks through the API: a bearer token with a scope, bound to one component; cookies count for nothing."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja.security import HttpBearer

from approvals import ledger
from approvals.actors import signs_as
from monitoring.audit import Actor
from rollout import access, tokens
from rollout.api.errors import ApiError
from rollout.models import Artifact, Component, Release, Rollout, Token


class Bearer(HttpBearer):
    """Takes a live token that has the scope and whose owner still holds a role for its component."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.scope = access.TOKENS[operation]  # an operation without a row does not even load

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        """Return the token, None when it is not valid; raise when it may not do this."""
        found = tokens.find(token, now=timezone.now())
        if found is None:
            return None
        if self.scope not in found.scopes:
            has = ", ".join(found.scopes)
            raise ApiError(403, f"this token has the scope {has}", f"a token with the scope {self.scope}")
        if not ledger.current_roles(found.owner, found.component.name):
            raise PermissionDenied(f"The owner of this token holds no role for {found.component.name} any more.")
        return found


def token_of(request: HttpRequest) -> Token:
    """Return the token of a request that was let in."""
    token: Token = request.auth  # type: ignore[attr-defined]
    return token


def who(request: HttpRequest) -> dict[str, Any]:
    """Return the arguments that tell a verb who asks, through which door, and when."""
    token = token_of(request)
    actor = Actor(
        id=token.owner.pk,
        name=token.owner.get_username(),
        printed=signs_as(token.owner),
        via="api",
        address=request.META.get("REMOTE_ADDR", ""),
        session=token.prefix,
        request_id=getattr(request, "request_id", ""),
    )
    return {"user": token.owner, "by": actor, "now": timezone.now()}


def component_of(request: HttpRequest, name: str) -> Component:
    """Return the token's own component; any other is 404, whether it exists or not."""
    token = token_of(request)
    if token.component.name != name:
        raise Http404(f"this token sees no component {name}")
    return token.component


def release_of(request: HttpRequest, pk: int) -> Release:
    """Return a release of the token's component, or 404."""
    releases = Release.objects.select_related("component").filter(component=token_of(request).component)
    return get_object_or_404(releases, pk=pk)


def rollout_of(request: HttpRequest, pk: int) -> Rollout:
    """Return a rollout of the token's component, or 404."""
    rollouts = Rollout.objects.with_places().filter(target__component=token_of(request).component)
    return get_object_or_404(rollouts, pk=pk)


def artifact_of(request: HttpRequest, pk: int) -> Artifact:
    """Return an artifact of the token's component, or 404."""
    artifacts = Artifact.objects.select_related("release__component")
    return get_object_or_404(artifacts.filter(release__component=token_of(request).component), pk=pk)
