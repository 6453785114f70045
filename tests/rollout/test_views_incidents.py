"""A person whose roles are limited to some components answers incidents of those only."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals.models import Person
from monitoring import incidents
from monitoring.audit import SYSTEM, Subject
from monitoring.models import Incident
from rollout.models import Target
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture
def incident(target: Target) -> Incident:
    """Return an open incident of dhash."""
    about = Subject(kind="target", id=str(target.pk), label="dhash/production", component="dhash", environment="")
    return incidents.open(
        subject=about,
        severity="P1",
        title="Quality gate breached",
        summary="slow",
        runbook="rollback",
        by=SYSTEM,
        routes=[],
        url="",
        now=timezone.now(),
    )


def limit(user: User, component: str) -> None:
    Person.objects.update_or_create(user=user, defaults={"components": [component], "printed_name": "Tom"})


def test_a_responder_of_another_component_may_not_take_it(cast: Cast, incident: Incident) -> None:
    limit(cast["tom"], "other")
    answer = browser(cast["tom"]).post(reverse("incident_acknowledge", args=[incident.pk]))
    incident.refresh_from_db()
    assert (answer.status_code, incident.state) == (404, Incident.State.OPEN)


def test_a_responder_of_the_component_takes_it(cast: Cast, incident: Incident) -> None:
    limit(cast["tom"], "dhash")
    browser(cast["tom"]).post(reverse("incident_acknowledge", args=[incident.pk]))
    incident.refresh_from_db()
    assert incident.state == Incident.State.ACKNOWLEDGED


def test_the_page_shows_its_forms_to_those_who_may_use_them(cast: Cast, incident: Incident) -> None:
    url, note = reverse("incident", args=[incident.pk]), reverse("incident_note", args=[incident.pk])
    assert note in browser(cast["tom"]).get(url).content.decode()
    assert note not in browser(cast["aud"]).get(url).content.decode()


def test_an_incident_about_no_component_is_there_for_everybody(cast: Cast, incident: Incident) -> None:
    Incident.objects.filter(pk=incident.pk).update(component="")
    limit(cast["tom"], "other")
    answer = browser(cast["tom"]).get(reverse("incident", args=[incident.pk]))
    assert (answer.status_code, reverse("incident_note", args=[incident.pk]) in answer.content.decode()) == (200, True)
