"""The admin: every table can be read and searched by admins, history can be edited by nobody."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import timezone

from monitoring.models import AuditEntry
from rollout.models import Freeze, Target
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


def freeze(user: User, target: Target, **changed):
    """Post a freeze."""
    values = {
        "component": target.component_id, "environment": "", "reason": "end of quarter",
        "starts_at_0": "2026-12-24", "starts_at_1": "00:00:00", "ends_at_0": "2026-12-27", "ends_at_1": "00:00:00",
    }  # fmt: skip
    return browser(user).post("/admin/rollout/freeze/add/", {**values, **changed})


def test_a_freeze_is_kept_under_the_name_of_who_asked_and_audited(cast: Cast, target: Target) -> None:
    assert freeze(cast["ada"], target, by=cast["rita"].pk).status_code == 302
    entry = AuditEntry.objects.get(action="freeze.added")
    assert (Freeze.objects.get().by, entry.actor_name, entry.why) == (cast["ada"], "ada", "end of quarter")


def test_a_freeze_that_ends_before_it_begins_is_refused(cast: Cast, target: Target) -> None:
    answer = freeze(cast["ada"], target, ends_at_0="2026-12-23")
    assert answer.status_code == 200 and "ends before it begins" in answer.content.decode()
    assert not Freeze.objects.exists()


def test_a_freeze_is_ended_and_not_removed(cast: Cast, target: Target) -> None:
    now = timezone.now()
    made = Freeze.objects.create(component=target.component, starts_at=now, ends_at=now, reason="x", by=cast["ada"])
    assert browser(cast["ada"]).post(f"/admin/rollout/freeze/{made.pk}/delete/", {"post": "yes"}).status_code == 403
