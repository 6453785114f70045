"""The admin of the monitoring room: all of it can be read, none of it edited."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from monitoring import audit, incidents, watcher

from .effects import NOW, RITA, ROLLOUT
from .watched import Target, open_watch

pytestmark = pytest.mark.django_db
SHOWN = [model for model in apps.get_app_config("monitoring").get_models() if model.__name__ != "AuditHead"]


@pytest.fixture
def world(admin_client, admin_user):
    admin_user.groups.add(Group.objects.get_or_create(name="admin")[0])
    audit.append(action="x.y", by=RITA, subject=ROLLOUT, now=NOW)
    open_watch()
    watcher.observe_due(NOW, fetch=Target())
    incidents.open(
        subject=ROLLOUT, severity="P2", title="t", summary="s", runbook="", by=RITA, routes=[], url="", now=NOW
    )
    return admin_client


@pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)
def test_every_table_has_a_list_that_opens(world, model):
    assert world.get(reverse(f"admin:monitoring_{model._meta.model_name}_changelist")).status_code == 200


@pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)
def test_no_table_can_be_edited(world, model, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    page = admin.site.get_model_admin(model)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.has_view_permission(request)


def test_an_incident_opens_with_its_timeline(world):
    from monitoring.models import Incident

    answer = world.get(reverse("admin:monitoring_incident_change", args=[Incident.objects.get().pk]))
    assert b"Opened as P2" in answer.content
