"""Everybody at every door: each route × method × identity × own and other component answers as the table says."""

import json
import logging
import os
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth import middleware
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client, override_settings
from django.urls import URLPattern, resolve
from pytest_django.plugin import DjangoDbBlocker

from rollout import access, belongs, once
from rollout.access import Row
from rollout.api.app import api
from rollout.keyless import may_lack_key
from rollout.views.refusals import NO_KEY
from tests.base import make_cast
from tests.rollout import matrix_world as world
from tests.rollout import views_world
from tests.rollout.matrix_world import METHODS, OTHER, OWN, REACHED, Asker, Place

pytestmark = pytest.mark.django_db
# GR_FAULTS=full: every method by everybody; else those that matter, and every method by an admin
FULL = os.environ.get("GR_FAULTS") == "full"
PLAIN = {"403.html": "no", "404.html": "nothing", "409.html": "no key"}
KEY = f"{once.FIELD}={'1764331200-' + 'a' * 22}"
HELP = (
    "\n  1. rollout/access.py: write ROUTES[{name!r}] = read|verb|form|look(ROLES, belongs.KIND): see the lines there."
    "\n  2. a new kind of object: a function in rollout/belongs.py, and one object in tests/rollout/matrix_world.py"
    "\n     (Place.values[belongs.KIND] = {{value of the address: ...}}); a value of no component: LOOSE there."
    "\n  3. it takes a POST: a line in tests/rollout/posts.py."
)
# what is another one in every rendering
SECRETS = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')
BODIES = {
    "create_release": {"version": "9.9.9", "commit": "c" * 40},
    "add_link": {"kind": "ci_ubuntu", "url": "https://ci.example.com/1"},
}
# how everybody knocks; a key opens nothing, and the lack of one is told only to who may come in
WAYS = [*((method, "") for method in METHODS), ("POST", KEY)]
# answers that are about what was sent, or about the state of the object: the door was open
OPEN = {200, 201, 302, 400, 404, 409, 422, 429}


@pytest.fixture(scope="module")
def places(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Place]]:
    """Make both components once; each test undoes what it did to them."""
    folder = tmp_path_factory.mktemp("matrix")
    changed = override_settings(**{f"GR_{name}": folder / name for name in ("RUN_DIR", "ARTIFACTS", "BACKUPS")})
    with pytest.MonkeyPatch.context() as patch, changed, django_db_blocker.unblock(), transaction.atomic():
        views_world.stop_clock(patch)
        cast = make_cast()
        yield {name: world.make_place(folder, name, cast) for name in (OWN, OTHER)}
        transaction.set_rollback(True)


@pytest.fixture
def doors_only(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a stub in the place of every view, and one word in the place of every refusal."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.rollout.matrix_world.Reached"]
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    loaders = [("django.template.loaders.locmem.Loader", PLAIN)]
    settings.TEMPLATES = [{"BACKEND": settings.TEMPLATES[0]["BACKEND"], "OPTIONS": {"loaders": loaders}}]
    monkeypatch.setattr(middleware, "get_user", world.remembering(middleware.get_user))
    logging.disable()  # a line for each of the thousands of refusals would fill the memory
    yield
    logging.disable(logging.NOTSET)


def doors() -> Iterator[tuple[str, URLPattern, Row]]:
    """Return every route that is no operation of the API, with its row."""
    for name, pattern in world.routes():
        row = access.row_of(name)
        if row is not None and not name.startswith("api:"):
            yield name, pattern, row


def expected(row: Row, asker: Asker, method: str, component: str | None, *, keyed: bool) -> int:
    """Return what the table says; written a second time, so that the first can be wrong."""
    if row.roles != access.ANYONE:
        if not asker.signed_in:
            return 302
        if row.roles != access.SIGNED_IN and not asker.roles & row.roles:
            return 403
        if row.whole and asker.limited:
            return 403
    if method not in row.methods:
        return 405
    if row.of not in (None, belongs.himself) and (component is None or (asker.limited and component == OTHER)):
        return 404
    return REACHED if keyed or method != "POST" else 400


def test_every_route_has_a_row_and_an_address_that_can_be_tried(places: dict[str, Place]) -> None:
    for name, pattern in world.routes():
        row = access.row_of(name)
        assert row is not None, f"The route {name!r} has no row: nobody may use it." + HELP.format(name=name)
        if not name.startswith("api:"):
            url = world.address(name, pattern, row, places[OWN])
            assert url is not None, f"No values for the address of {name!r}." + HELP.format(name=name)


def test_a_route_with_an_object_says_whose_it_is() -> None:
    loose = set(world.LOOSE) - {"pk"}
    for name, pattern, row in doors():
        named = set(pattern.pattern.converters) - loose
        told = bool(named) == (row.of is not None) or row.whole
        assert told, f"{name!r} has {sorted(named)} in its address: say whose object that is." + HELP.format(name=name)


@pytest.mark.slow
def test_every_door_opens_as_the_table_says(places: dict[str, Place], doors_only: None) -> None:
    everybody = world.askers(places[OWN])
    wrong, tried, ask = [], 0, world.handler()
    for name, pattern, row in doors():
        for component in (OWN, OTHER, None) if row.of else (None,):
            url = world.address(name, pattern, row, places[component] if component else None)
            assert url is not None, HELP.format(name=name)
            name = resolve(url).view_name  # ours stand before the admin site's own
            row, free = access.row_of(name) or row, may_lack_key(name)
            for asker, (method, body) in product(everybody, WAYS):
                if FULL or asker.name == access.ADMIN or method in ("GET", "POST"):
                    status = ask(asker, method, url, body)
                    tried += 1
                    if status != expected(row, asker, method, component, keyed=free or body == KEY):
                        wrong.append(f"{method} {name} {body} ({component}) by {asker.name}: {status}")
    assert wrong == [], f"{len(wrong)} of {tried}:\n" + "\n".join(wrong[:40])
    assert tried > 15_000


def somebody(*, limited: bool) -> Client:
    """Return the browser of somebody with every role, for all components or for his own."""
    client = world.signed(f"all-{limited}", *access.GROUPS, components=[OWN] if limited else None)
    assert Group.objects.count() == len(access.GROUPS)
    return client


def test_whoever_is_limited_never_reads_of_another_component(places: dict[str, Place]) -> None:
    client, told = somebody(limited=True), {}
    for name, pattern, row in doors():
        if "GET" in row.methods and not row.whole and row.roles != access.ANYONE:
            url = world.address(name, pattern, row, places[OWN])
            answer = client.get(url)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert answer.status_code in OPEN, (name, answer.status_code)
            if OTHER.encode() in body:
                told[name] = url
    assert told == {}, "These tell of a component that is not the reader's: use access.known() in their views."


def test_what_one_may_not_know_of_looks_like_what_never_was(places: dict[str, Place]) -> None:
    client = somebody(limited=True)
    for name, pattern, row in doors():
        if row.of not in (None, belongs.himself):
            there, nowhere = (world.address(name, pattern, row, place) for place in (places[OTHER], None))
            answers = [client.generic(row.methods[0], str(url)) for url in (there, nowhere)]
            # what needs a role for every component is closed to him, whatever he asks for
            closed = 403 if row.whole else 404
            assert [one.status_code for one in answers] == [closed, closed], name
            assert SECRETS.sub(b"", answers[0].content) == SECRETS.sub(b"", answers[1].content), name


def test_every_verb_lets_in_whoever_has_the_roles_for_the_component(places: dict[str, Place]) -> None:
    client, closed = somebody(limited=True), {}
    for name, pattern, row in doors():
        if "POST" in row.methods and row.of is not None:
            status = client.post(str(world.address(name, pattern, row, places[OWN])), {}).status_code
            if status not in OPEN:
                closed[name] = status
    assert closed == {}


def test_every_post_without_a_key_is_refused_but_those_that_say_why_not(places: dict[str, Place]) -> None:
    client, wrong = somebody(limited=False), []
    user = User.objects.get(username="all-False")
    for name, pattern, row in doors():
        url = str(world.address(name, pattern, row, places[OWN]))
        name = resolve(url).view_name
        if "POST" in (access.row_of(name) or row).methods:
            client.force_login(user)
            told = client.post(url, {}, keyless=True).content.decode()
            if (NO_KEY in told) == may_lack_key(name):
                wrong.append(name)
    assert wrong == [], "rollout/keyless.py: say why it needs no key, or let it be asked for one"


def operations() -> Iterator[tuple[str, str, Any]]:
    """Return name, address and ninja's operation for everything that the API does."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                yield operation.view_func.__name__, prefix + path, operation


def test_every_operation_of_the_api_has_a_scope_in_the_table_and_asks_for_it() -> None:
    found = {name: [one.scope for one in operation.auth_callbacks] for name, _, operation in operations()}
    assert found == {name: [scope] for name, scope in access.TOKENS.items()}, "rollout/access.py: TOKENS"


VALID = {"reads": {access.READ}, "writes": {access.WRITE}, "reads and writes": {access.READ, access.WRITE}}


def status_of_token(kind: str, name: str, component: str | None) -> set[int]:
    """Return what the table says to a token of this kind that asks for an object of a component."""
    if kind not in VALID:
        return {403} if kind == "of an owner without roles" else {401}
    if access.TOKENS[name] not in VALID[kind]:
        return {403}
    if component != OWN:
        return {404}
    return {200, 201, 400, 404, 409, 422}


def test_every_token_reaches_what_its_scope_and_component_say(places: dict[str, Place]) -> None:
    wrong = []
    kinds = world.token_kinds(places[OWN])
    for name, path, operation in operations():
        body = json.dumps(BODIES.get(name, {}))
        for component in (OWN, OTHER, None):
            url = api_address(path, places[component] if component else None)
            for kind, text in kinds.items():
                headers = {"Authorization": f"Bearer {text}"} if text else {}
                for method in operation.methods:
                    status = Client().generic(method, url, body, "application/json", headers=headers).status_code
                    # a list without a component in its address is that of the token's own
                    place = OWN if path == "/rollouts" else component
                    if status not in status_of_token(kind, name, place):
                        wrong.append(f"{method} {name} ({component}) with a token that {kind}: {status}")
    assert wrong == []


def test_no_method_but_its_own_reaches_an_operation(places: dict[str, Place]) -> None:
    _, text = world.make_token(places[OWN].component, cast_of("rita"), (access.READ, access.WRITE))
    headers = {"Authorization": f"Bearer {text}"}
    taken: dict[str, set[str]] = {}
    for _, path, operation in operations():
        taken.setdefault(path, set()).update(operation.methods)
    for path, methods in taken.items():
        url = api_address(path, places[OWN])
        answers = {method: Client().generic(method, url, headers=headers).status_code for method in METHODS}
        assert {method for method in METHODS if answers[method] != 405} == methods, path


def test_a_session_counts_for_nothing_in_the_api(places: dict[str, Place]) -> None:
    client = somebody(limited=False)
    for _, path, operation in operations():
        assert client.generic(operation.methods[0], api_address(path, places[OWN])).status_code == 401, path


def cast_of(name: str) -> User:
    return User.objects.get(username=name)


def api_address(path: str, place: Place | None) -> str:
    """Return the address of an operation, for the objects of a place or for none that exists."""
    values = place.values if place else {}
    if "/components/" in path:
        return f"/api/v1{path}".replace("{name}", place.component.name if place else "nowhere")
    kinds = {"releases": belongs.release, "rollouts": belongs.rollout, "artifacts": belongs.artifact}
    pk = values.get(kinds[path.split("/")[1]], {}).get("pk", world.NOWHERE)
    return f"/api/v1{path}".replace("{int:pk}", str(pk)).replace("{kind}", "release_archive")
