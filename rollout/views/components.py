"""Pages of components: what is deployed where, in which configuration, under which rules."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from approvals import people, stepup
from approvals.ledger import Refused
from approvals.views_people import asker_of, confirm_url
from rollout import access, component, loading, second_admin, states, told
from rollout.component import ComponentError
from rollout.models import Backup, BreakGlass, Component, Configuration, Freeze, Release, Rollout, Target
from rollout.views import words
from rollout.views.forms_places import ReasonForm, label_of
from rollout.views.once import claim
from rollout.views.refusals import sentences

SHOWN_BACKUPS = 20
SHOWN_RELEASES = 20
SAID = {
    "confirm": "The configuration is in force.",
    "refuse": "The configuration was refused; the one before stays in force.",
    "withdraw": "The configuration was withdrawn; the one before stays in force.",
}
GOING_ON = sorted(states.ACTIVE | states.OPEN)


@require_GET
def component_list(request: HttpRequest) -> HttpResponse:
    """Show every component with its targets."""
    targets = Target.objects.filter(retired=False).select_related("environment", "component")
    components = access.known(request.user, Component.objects.all(), "name").prefetch_related(
        Prefetch("targets", targets),
        Prefetch("configurations", Configuration.objects.filter(state="PENDING"), to_attr="pending"),
    )
    busy = _going_on(Rollout.objects.all())
    rows = [
        {
            "component": one,
            "pending": one.pending,
            "targets": [{"row": target, "rollout": busy.get(target.pk)} for target in one.targets.all()],
        }
        for one in components
    ]
    return render(request, "rollout/component_list.html", {"rows": rows})


@require_GET
def component_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one component whole."""
    found = get_object_or_404(Component, name=name)
    configurations = list(found.configurations.all()[:12])
    spec, live, problem = _in_force(found)
    user: Any = request.user
    roles = people.current_roles(user, name)
    context = {
        "component": found,
        "spec": spec,
        "problem": problem,
        "live": live,
        "pending": _pending(found, configurations, user),
        "past": [one for one in configurations if one.state == Configuration.State.PAST],
        "targets": _targets(found, spec),
        "backups": Backup.objects.filter(target__component=found).select_related("target__environment", "run")[
            :SHOWN_BACKUPS
        ],
        "releases": _releases(found),
        "runbooks": found.runbooks.filter(current=True),
        "tokens": found.tokens.select_related("owner__person") if roles & (access.ADMINS | access.OWNERS) else None,
        "held": BreakGlass.objects.holding(found).with_story().order_by("pk"),
        "can_lock": bool(roles & access.STOPPERS),
        "must_prove": not stepup.is_recent(request, now=timezone.now() + stepup.SPARE),
        "can_release": bool(roles & access.OWNERS),
        "reason_form": ReasonForm(auto_id=False),
        **_in_words(spec),
    }
    return render(request, "rollout/component.html", context)


@require_POST
@sentences
def configuration_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a waiting configuration in force, refuse it, or withdraw it."""
    waiting = get_object_or_404(Configuration.objects.select_related("component"), pk=pk)
    answer, name = request.POST.get("answer", ""), waiting.component.name
    page = f"{reverse('component', args=[name])}#configuration"
    asker = asker_of(request)
    if answer != "withdraw" and not stepup.is_recent(request, now=asker.now):
        purpose = f"You are about to decide over the configuration of {name}. Then press the button again."
        return redirect(confirm_url(page, purpose))
    with claim(request, page):
        if answer == "confirm":
            second_admin.confirm(waiting, seen=request.POST.get("seen", ""), asker=asker)
        elif answer == "refuse":
            second_admin.refuse(waiting, why=request.POST.get("why", ""), asker=asker)
        elif answer == "withdraw":
            second_admin.withdraw(waiting, asker=asker)
        else:
            raise Refused("Put it in force, refuse it, or withdraw it.")
    messages.success(request, SAID[answer])
    return redirect(page)


def _going_on(rollouts: QuerySet[Rollout]) -> dict[int, Rollout]:
    """Return target id -> the newest rollout that has not ended."""
    open_ones = (
        rollouts.filter(state__in=GOING_ON)
        .select_related("release", "release__component", "target__environment")
        .order_by("pk")
    )
    return {one.target_id: one for one in open_ones}


def _in_force(found: Component) -> tuple[component.Component | None, Configuration | None, str]:
    """Return the configuration in force, parsed and as it was loaded, or what is wrong with it.

    The page is made all the same: here a second admin answers the one that takes its place.
    """
    live = None
    try:
        live = found.live
        return live.parsed(), live, ""
    except ComponentError as error:
        return None, live, str(error)


def _pending(found: Component, configurations: Iterable[Configuration], user: User) -> list[dict[str, Any]]:
    """Return those that wait, each as it differs now from what the audit tells to be in force.

    Of one that was loaded beside none, that is asked as its confirmation does: along the whole chain, which takes long.
    """
    waiting = [one for one in configurations if one.state == Configuration.State.PENDING]
    now = told.in_force(found) if waiting else None
    beside = [now if one.against else told.borne_out(found, one) for one in waiting]
    return [{**_waits(one, user), **_seen(one, before)} for one, before in zip(waiting, beside, strict=True)]


def _waits(one: Configuration, user: User) -> dict[str, Any]:
    why_not = second_admin.why_not(one, user, now=timezone.now())
    return {"row": one, "why_not": why_not, "mine": user.get_username() == one.loaded_by}


def _seen(one: Configuration, before: Configuration | None) -> dict[str, Any]:
    shown = second_admin.shown(one, before)
    found: dict[str, Any] = {"whole": before is None, "stale": second_admin.is_stale(one, before)}
    found["doubt"] = "" if shown.problem else loading.doubt(one.parsed(), now=timezone.now())
    return {**found, "problem": shown.problem, "seen": shown.digest, "lines": diff_lines(shown.difference)}


def diff_lines(text: str) -> list[tuple[str, str]]:
    """Return the lines of a unified diff, each with what it is: add, del, hunk, file or same."""
    return [(_kind(line), line) for line in text.splitlines()]


def _kind(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "file"
    return {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "same")


def _targets(found: Component, spec: component.Component | None) -> list[dict[str, Any]]:
    rows = found.targets.filter(retired=False).select_related("environment", "component")
    busy = _going_on(Rollout.objects.filter(target__component=found))
    specs = {one.name: one for one in spec.environments} if spec else {}
    freezes = list(Freeze.objects.filter(component=found, starts_at__lte=timezone.now(), ends_at__gt=timezone.now()))
    order = list(specs)
    ordered = sorted(
        rows, key=lambda row: order.index(row.environment.name) if row.environment.name in specs else len(order)
    )
    return [
        {
            "row": row,
            "rollout": busy.get(row.pk),
            "spec": specs.get(row.environment.name),
            "freeze": _freeze(row, freezes),
        }
        for row in ordered
    ]


def _freeze(row: Target, freezes: Iterable[Freeze]) -> Freeze | None:
    return next((one for one in freezes if one.environment_id in (None, row.environment_id)), None)


def _releases(found: Component) -> QuerySet[Release]:
    rows = found.releases.select_related("created_by__person", "component")
    return rows.annotate(rollout_count=Count("rollouts", distinct=True))[:SHOWN_RELEASES]


def _in_words(spec: component.Component | None) -> Mapping[str, Any]:
    if spec is None:
        return {}
    profiles = {
        one.profile.name: {
            "profile": one.profile,
            "says": words.profile_words(one.profile),
            "gates": words.gates_words(one.profile),
        }
        for one in spec.environments
    }
    for one in spec.environments:
        profiles[one.profile.name].setdefault("environments", []).append(one.name)  # type: ignore[attr-defined]
    return {
        "policy": words.policy_words(spec.policy),
        "required": [label_of(kind) for kind in spec.evidence],
        "routes": words.route_words(spec.routes),
        "profiles": list(profiles.values()),
        "owners": [(key.replace("_", " ").capitalize(), who) for key, who in spec.owners.items()],
    }
