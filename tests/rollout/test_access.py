"""The access table: deny by default, ask for the roles of now, let nobody in whom it does not name."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.test import RequestFactory
from django.urls import ResolverMatch

from rollout import access, belongs

pytestmark = pytest.mark.django_db
BY_NAME = {name for name, row in access.ROUTES.items() if row.of is belongs.component}


def request_of(user: User | AnonymousUser, route: str) -> HttpRequest:
    """Return a request that was resolved to a route."""
    namespace, _, name = route.rpartition(":")
    request = RequestFactory().get("/")
    request.user = user
    nowhere = {"pk": 0} if route not in BY_NAME else {"name": "nowhere"}
    spaces = [namespace] if namespace else []
    request.resolver_match = ResolverMatch(access.check, (), nowhere, name, namespaces=spaces)
    return request


def lets_in(user: User | AnonymousUser, route: str) -> bool:
    try:
        access.check(request_of(user, route))
    except PermissionDenied:
        return False
    except Http404:  # the role would do, there is only no such object
        return True
    return True


@pytest.mark.parametrize("route", ["no-such-route", "other:thing", ""])
def test_a_route_without_a_row_is_closed_to_everybody(cast: dict[str, User], route: str) -> None:
    assert not any(lets_in(user, route) for user in cast.values())


@pytest.mark.parametrize("route", sorted(route for route, row in access.ROUTES.items() if row.roles != access.ANYONE))
def test_a_closed_route_lets_nobody_in_without_sign_in(route: str) -> None:
    assert not lets_in(AnonymousUser(), route)


@pytest.mark.parametrize("route", sorted(access.ROUTES))
def test_a_route_lets_in_exactly_the_roles_of_its_row(cast: dict[str, User], route: str) -> None:
    roles = access.ROUTES[route].roles
    everybody = roles in (access.ANYONE, access.SIGNED_IN)
    expected = {
        name for name, user in cast.items() if everybody or roles & set(user.groups.values_list("name", flat=True))
    }
    assert {name for name, user in cast.items() if lets_in(user, route)} == expected


def test_the_refusal_names_the_roles_that_could(cast: dict[str, User]) -> None:
    with pytest.raises(PermissionDenied, match="This page is for admin"):
        access.check(request_of(cast["otto"], "admin:index"))


def test_only_admins_reach_the_admin_site(cast: dict[str, User]) -> None:
    assert {name for name, user in cast.items() if lets_in(user, "admin:index")} == {"ada", "ari"}


def test_every_row_names_groups_that_exist() -> None:
    special = access.ANYONE | access.SIGNED_IN
    assert {role for row in access.ROUTES.values() for role in row.roles} - special <= set(access.GROUPS)
