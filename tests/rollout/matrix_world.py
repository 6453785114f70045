"""Two components with one of everything, everybody who may ask for it, and an address for each route.

A new route fails `test_matrix.py` until it has a row in `rollout/access.py`. A new kind of object (a new function in
`rollout/belongs.py`) needs one in `Place` and `Place.values`; values that belong to no component stand in `LOOSE`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver, reverse
from django.urls.exceptions import NoReverseMatch
from django.utils import timezone

from approvals.models import Person
from monitoring import incidents
from monitoring.audit import SYSTEM
from monitoring.models import Attachment, AuditEntry, Incident
from rollout import access, actions, belongs, tokens, transitions
from rollout.access import Row
from rollout.models import Component, Rollout
from tests import factories
from tests.base import Client, make_user

OWN, OTHER = "dhash", "zebra"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NOWHERE = 987654
REACHED = 299
# values of routes that are about no component: a person, a link, an identity provider, a row of the admin site
LOOSE = {
    "user_id": 1,
    "pk": 1,
    "number": 1,
    "token": "no-such-token",
    "provider_id": "sso",
    "object_id": 1,
    "content_type_id": 1,
    "id": 1,
    "url": "nothing/",
}
# routes of the admin site that have no name to reverse
UNNAMED = {
    "admin:django.contrib.admin.sites.catch_all_view": "/admin/nothing/",
    "admin:django.views.generic.base.RedirectView": "/admin/auth/user/1/",
}


class Reached:
    """Stands behind the access table in place of every view and says that the request came as far as this."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        """Answer in place of the view; the API asks for its token inside of the view."""
        match = request.resolver_match
        return None if match and match.view_name.startswith("api:") else HttpResponse(status=REACHED)


@dataclass(frozen=True)
class Place:
    """A component with one of everything."""

    component: Component
    rollout: Rollout
    incident: Incident
    token: str
    token_pk: int

    @property
    def values(self) -> dict[Any, dict[str, Any]]:
        """Return, for each kind of object, the values that name this component's one in an address."""
        name = self.component.name
        release = self.rollout.release
        return {
            belongs.himself: {"pk": NOWHERE},
            belongs.component: {"name": name, "component": name, "slug": "rollback"},
            belongs.configuration: {"pk": self.component.live.pk},
            belongs.target: {"pk": self.rollout.target_id},
            belongs.release: {"pk": release.pk},
            belongs.artifact: {"pk": release.artifacts.get().pk},
            belongs.rollout: {"pk": self.rollout.pk},
            belongs.step: {"pk": self.rollout.runs.get().steps.order_by("pk")[0].pk},
            belongs.runbook: {"pk": self.component.runbooks.get().pk},
            belongs.token: {"pk": self.token_pk},
            belongs.incident: {"pk": self.incident.pk},
            belongs.entry: {"pk": AuditEntry.objects.filter(component=name)[0].seq},
            belongs.attachment: {"pk": Attachment.objects.get(incident=self.incident).pk},
        }


@dataclass(frozen=True)
class Asker:
    """Somebody who asks: what he may, by the table's words."""

    name: str
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()
    signed_in: bool = False
    limited: bool = False


def handler() -> Callable[[Asker, str, str, str], int]:
    """Return a function that asks and returns the status; it leaves out what a test client does besides, for speed."""
    made, factory = BaseHandler(), RequestFactory()
    made.load_middleware()

    def ask(asker: Asker, method: str, url: str, body: str) -> int:
        request = factory.generic(method, url, body, "application/x-www-form-urlencoded", headers=asker.headers)
        request.COOKIES = asker.cookies
        request._dont_enforce_csrf_checks = True
        return made.get_response(request).status_code

    return ask


def remembering(get_user: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Return what finds the user of a session once and then knows him: half of the time went there."""
    seen: dict[str, Any] = {}

    def found(request: HttpRequest) -> Any:
        key = request.COOKIES.get("sessionid", "")
        if key not in seen:
            seen[key] = get_user(request)
        return seen[key]

    return found


def make_place(folder: Path, name: str, cast: dict[str, User]) -> Place:
    """Load a component and make one of everything for it."""
    text = factories.TOML if name == OWN else factories.TOML.replace(OWN, name).replace("port = 81", "port = 82")
    path = factories.write_component(folder / name, text=text)
    component = factories.load(path)
    rollout = factories.make_approved(component.targets.get(environment__name="production"), cast)
    olaf = cast["olaf"]
    actions.start(rollout, user=olaf, by=factories.actor(olaf), now=factories.later(10))
    about = transitions.subject_of(rollout)
    told = {"severity": "P1", "title": f"{name} is slow", "summary": f"p95 of {name}", "runbook": "rollback"}
    incident = incidents.open(subject=about, **told, by=SYSTEM, routes=[], url="", now=timezone.now())
    incidents.attach(incident, name=f"{name}.log", data=b"lines", by=SYSTEM, now=timezone.now())
    token, text = make_token(component, cast["rita"])
    return Place(component, factories.fresh(rollout), incident, text, token)


def make_token(component: Component, owner: User, scopes: tuple[str, ...] = (access.READ,)) -> tuple[int, str]:
    """Make a token; return number and text."""
    values = {"name": "ci", "scopes": scopes, "days": 30, "now": timezone.now()}
    made, text = tokens.create(component, user=owner, by=factories.actor(owner), **values)
    return made.pk, text


def askers(place: Place) -> list[Asker]:
    """Return everybody who may ask a page: nobody, each role for all and for one component, no role, tokens."""
    found = [Asker("anonymous"), Asker("somebody without a role", cookies(signed("nobody")), signed_in=True)]
    for role in access.GROUPS:
        found.append(Asker(role, cookies(signed(f"{role}-all", role)), {}, frozenset({role}), True))
        limited = signed(f"{role}-own", role, components=[place.component.name])
        found.append(Asker(f"{role} of {OWN} only", cookies(limited), {}, frozenset({role}), True, True))
    return [*found, Asker("a disabled admin", cookies(disabled())), *bearers(place)]


def cookies(client: Client) -> dict[str, str]:
    """Return the cookies of a browser."""
    return {key: morsel.value for key, morsel in client.cookies.items()}


def signed(name: str, *roles: str, components: list[str] | None = None) -> Client:
    """Return the browser of a new user with roles, perhaps for some components only."""
    user = make_user(name, *roles)
    Person.objects.filter(user=user).update(components=components or [])
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def disabled() -> Client:
    """Return the browser of somebody whose account was disabled after he signed in."""
    client = signed("gone", access.ADMIN)
    User.objects.filter(username="gone").update(is_active=False)
    return client


def bearers(place: Place) -> Iterator[Asker]:
    """Return each kind of token, sent to pages: there it counts for nothing, whatever its scopes and its owner."""
    for name, text in token_kinds(place).items():
        yield Asker(f"token: {name}", headers={"Authorization": f"Bearer {text}"})


def token_kinds(place: Place) -> dict[str, str]:
    """Return a text of each kind of token."""
    owner = make_user("token-owner", access.RELEASE_OWNER)
    component, now = place.component, timezone.now()
    texts = {"reads": make_token(component, owner)[1], "writes": make_token(component, owner, (access.WRITE,))[1]}
    texts["reads and writes"] = make_token(component, owner, (access.READ, access.WRITE))[1]
    for name, columns in (
        ("expired", {"expires_at": now - timedelta(seconds=1)}),
        ("revoked", {"revoked_at": now}),
    ):
        pk, texts[name] = make_token(component, owner, (access.READ, access.WRITE))
        tokens.Token.objects.filter(pk=pk).update(**columns)
    for name, change in (("of a disabled owner", gone), ("of an owner without roles", roleless)):
        other = make_user(name.replace(" ", "-"), access.RELEASE_OWNER)
        texts[name] = make_token(component, other, (access.READ, access.WRITE))[1]
        change(other)
    return {**texts, "invented": "gr_00000000_" + "x" * 43, "none": ""}


def gone(user: User) -> None:
    """Disable an account."""
    User.objects.filter(pk=user.pk).update(is_active=False)


def roleless(user: User) -> None:
    """Take all roles from somebody."""
    user.groups.remove(*Group.objects.all())


def routes(patterns: Any = None, space: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Return every route of the product with its name, as the table names it."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = ":".join(part for part in (space, pattern.namespace or "") if part)
            yield from routes(pattern.url_patterns, inner)
        else:
            name = ResolverMatch(pattern.callback, (), {}, pattern.name).view_name  # also of one without a name
            yield f"{space}:{name}" if space else name, pattern


def address(name: str, pattern: URLPattern, row: Row, place: Place | None) -> str | None:
    """Return the address of a route, for the objects of a place or for none that exists; None: values are missing."""
    if name in UNNAMED:
        return UNNAMED[name]
    wanted = set(pattern.pattern.converters)
    given: dict[str, Any] = {key: value for key, value in LOOSE.items() if key in wanted}
    if row.of is not None:
        there = place.values.get(row.of, {}) if place else {}
        nowhere = {key: NOWHERE if key == "pk" else "nowhere" for key in wanted - {"slug", *(LOOSE.keys() - {"pk"})}}
        given |= {key: value for key, value in (there if place else {**nowhere, "slug": "rollback"}).items()}
    if name == "admin:app_list":
        wanted, given = {"app_label"}, {"app_label": "auth"}
    try:
        return reverse(name, kwargs={key: given[key] for key in wanted})
    except (KeyError, NoReverseMatch):
        return None
