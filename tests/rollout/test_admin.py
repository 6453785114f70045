"""The admin: every table can be read and searched by admins, history can be edited by nobody."""

import html
import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory
from django.urls import ResolverMatch

from monitoring.models import AuditEntry
from rollout import access
from rollout.models import Freeze, Target
from tests.base import PASSWORD
from tests.rollout.signed_in import browser

Cast = dict[str, User]
OURS = [model for label in ("rollout", "approvals", "monitoring") for model in apps.get_app_config(label).get_models()]
SHOWN = [model for model in OURS if model in admin.site._registry]


def ids(model) -> str:
    """Name a model in a test's id."""
    return model.__name__


@pytest.mark.parametrize("model", list(apps.get_app_config("rollout").get_models()), ids=ids)
def test_every_table_of_this_room_is_there(model) -> None:
    assert model in admin.site._registry


@pytest.mark.parametrize("model", SHOWN, ids=ids)
def test_the_list_of_every_table_opens_and_can_be_searched(cast: Cast, target: Target, model) -> None:
    url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    assert browser(cast["ada"]).get(url, {"q": "x"}).status_code == 200


@pytest.mark.parametrize("model", [model for model in SHOWN if model is not Freeze], ids=ids)
def test_nobody_adds_edits_or_removes_history(cast: Cast, model) -> None:
    request = RequestFactory().get("/")
    request.user = cast["ada"]
    table = admin.site._registry[model]
    may = table.get_model_perms(request)
    assert may == {"add": False, "change": False, "delete": False, "view": True}


def test_an_entry_of_the_audit_opens_to_read(cast: Cast, target: Target) -> None:
    entry = AuditEntry.objects.first()
    answer = browser(cast["ada"]).get(f"/admin/monitoring/auditentry/{entry.pk}/change/")
    assert answer.status_code == 200 and 'name="_save"' not in answer.content.decode()


def test_the_queue_has_no_page(cast: Cast) -> None:
    assert not [model for model in admin.site._registry if model._meta.app_label == "django_q"]
    assert browser(cast["ada"]).get("/admin/django_q/ormq/").status_code == 404


@pytest.mark.parametrize("name", ["aud", "rita", "otto"])
def test_the_admin_is_for_admins(cast: Cast, name: str) -> None:
    assert browser(cast[name]).get("/admin/").status_code == 403


def test_a_password_is_changed_on_our_page_which_tells_the_audit(cast: Cast) -> None:
    client = browser(cast["ada"])
    assert client.get("/admin/password_change/").url == "/account/password/"
    assert client.post("/admin/password_change/", {"old_password": PASSWORD}).status_code == 405
    assert client.get("/admin/password_change/done/").url == "/account/"


@pytest.mark.parametrize(
    "name", ["auth_user_password_change", "rollout_freeze_import", "password_change", "autocomplete"]
)
def test_a_view_of_the_admin_site_that_nobody_listed_is_closed(cast: Cast, name: str) -> None:
    request = RequestFactory().post("/")
    request.user = cast["ada"]
    request.resolver_match = ResolverMatch(print, (), {}, name, namespaces=["admin"])
    with pytest.raises(PermissionDenied):
        access.check(request)


@pytest.mark.parametrize(
    ("url", "lookup"),
    [
        ("/admin/auth/user/", "password__startswith"),
        ("/admin/auth/user/", "is_active__startswith"),
        ("/admin/approvals/person/", "user__password__startswith"),
        ("/admin/rollout/token/", "sha256__startswith"),
        ("/admin/rollout/token/", "owner__password__startswith"),
        ("/admin/monitoring/notice/", "url__startswith"),
    ],
)
def test_nobody_asks_a_column_that_the_list_does_not_filter_by(cast: Cast, url: str, lookup: str) -> None:
    assert browser(cast["ada"]).get(url, {lookup: "a"}).status_code == 400


@pytest.mark.parametrize("model", SHOWN, ids=ids)
def test_every_filter_that_a_list_shows_works(cast: Cast, target: Target, model) -> None:
    client, url = browser(cast["ada"]), f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    links = set(re.findall(r'href="(\?[^"]+)"', client.get(url).content.decode()))
    told = {link: client.get(url + html.unescape(link)).status_code for link in links}
    assert set(told.values()) <= {200}, told
