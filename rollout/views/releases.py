"""Pages of releases: what they hold, what was brought for them, where they went."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from approvals import people
from approvals.ledger import Refused
from rollout import access, checklist, drafting, evidence, states
from rollout.component import LINKS, UPLOADS
from rollout.middleware import actor_of
from rollout.models import Artifact, BreakGlass, Component, EvidenceLink, Release
from rollout.views.forms_places import LinkForm, ReleaseForm, UploadForm, label_of
from rollout.views.once import claim

page = require_http_methods(["GET", "HEAD", "POST"])


@page
def release_new(request: HttpRequest, name: str) -> HttpResponse:
    """Create a release of a component."""
    component = get_object_or_404(Component, name=name)
    require_owner(request, component)
    form = ReleaseForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            with claim(request) as answer:
                release = drafting.create_release(component, **form.cleaned_data, **who(request))
                answer.text = reverse("release", args=[release.pk])
            return redirect(answer.text)
        except Refused as refusal:
            form.add_error(None, str(refusal))
            status = 409
    return render(
        request,
        "rollout/release_new.html",
        {"component": component, "form": form},
        status=400 if form.errors and status == 200 else status,
    )


@require_GET
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a release with its evidence."""
    return show(request, get_release(pk))


def show(
    request: HttpRequest, found: Release, *, problem: tuple[str, str] = ("", ""), url: str = "", status: int = 200
) -> HttpResponse:
    """Return a release's page; `problem` is (kind of evidence, why it was refused), `url` the link that was typed."""
    user: Any = request.user
    roles = people.current_roles(user, found.component.name)
    files = found.artifacts.filter(rollout=None).select_related("uploaded_by__person")
    links = {one.kind: one for one in found.links.select_related("added_by__person")}
    items = evidence.release_checklist(found)
    context = {
        "release": found,
        "component": found.component,
        "items": [_line(item, links, files, problem, url) for item in (*items, *_optional(items))],
        "problem": "" if problem[0] in (*UPLOADS, *LINKS) else problem[1],
        "headline": checklist.headline(items),
        "missing": checklist.missing(items),
        "held": BreakGlass.objects.holding(found.component).with_story().order_by("pk"),
        "replaced": [one for one in files if one.replaced_at],
        "rollouts": found.rollouts.with_places(),
        "targets": found.component.targets.filter(retired=False).select_related("environment"),
        "is_owner": bool(roles & access.OWNERS),
        "busy": found.rollouts.filter(
            state__in=[states.RolloutState.VALIDATING, states.RolloutState.QUEUED, *states.ACTIVE]
        ).first(),
        "authors": len({commit["email"].casefold() for commit in found.commits}),
    }
    return render(request, "rollout/release.html", context, status=status)


def get_release(pk: int) -> Release:
    """Return a release with what its page shows, or raise Http404."""
    return get_object_or_404(Release.objects.select_related("component", "created_by__person"), pk=pk)


def require_owner(request: HttpRequest, component: Component) -> None:
    """Raise PermissionDenied unless the user prepares releases of this component."""
    user: Any = request.user
    if not people.current_roles(user, component.name) & access.OWNERS:
        raise PermissionDenied(f"This needs the role release-owner for {component.name}.")


def who(request: HttpRequest) -> dict[str, Any]:
    """Return the arguments that tell a verb who asks, and when."""
    return {"user": request.user, "by": actor_of(request), "now": timezone.now()}


def _optional(items: Iterable[checklist.Item]) -> list[checklist.Item]:
    """Return lines for what the component does not ask for, but a person may bring."""
    there = {item.kind for item in items}
    return [
        checklist.Item(kind=kind, label=label_of(kind), required=False, found=None)
        for kind in (*UPLOADS, *LINKS)
        if kind not in there
    ]


def _line(
    item: checklist.Item, links: Mapping[str, EvidenceLink], files: Any, problem: tuple[str, str], url: str
) -> dict[str, Any]:
    """Return one line of the evidence, with the form that brings it."""
    kind = item.kind
    artifact: Artifact | None = next((one for one in files if one.kind == kind and not one.replaced_at), None)
    known = links.get(kind)
    said = problem[1] if problem[0] == kind else ""
    form: UploadForm | LinkForm | None = None
    if kind in UPLOADS:
        form = UploadForm(initial={"kind": kind})
    elif kind in LINKS:
        form = LinkForm(initial={"kind": kind, "url": (url if said else "") or (known.url if known else "")})
    return {
        "item": item,
        "artifact": artifact,
        "link": known,
        "form": form,
        "is_upload": kind in UPLOADS,
        "problem": said,
    }
