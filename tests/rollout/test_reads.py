"""Whoever reads evidence stands in the audit: the manifest, and the whole output of a step."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from monitoring.models import AuditEntry
from rollout import actions, commands
from rollout.intent import OUTPUT
from rollout.models import Step, Target
from tests import factories
from tests.factories import NOW, actor
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db


def last() -> AuditEntry:
    return AuditEntry.objects.latest("seq")


def started(target: Target, cast: dict[str, User]) -> Step:
    approved = factories.make_approved(target, cast)
    run = actions.start(approved, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    return run.steps.earliest("pk")


def test_reading_the_manifest_is_told_with_its_digest(target: Target, cast: dict[str, User]) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    assert browser(cast["ann"]).get(reverse("manifest", args=[rollout.pk])).status_code == 200
    assert (last().action, last().actor_name, last().subject_id) == ("manifest.read", "ann", str(rollout.pk))
    assert rollout.digest in last().body


def test_reading_the_output_of_a_step_is_told(target: Target, cast: dict[str, User]) -> None:
    step = started(target, cast)
    folder = commands.folder_of(step)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OUTPUT).write_text("printed\n")
    assert browser(cast["ann"]).get(reverse("step_log", args=[step.pk])).status_code == 200
    assert (last().action, last().subject_kind, last().subject_id) == ("log.read", "step", str(step.pk))


def test_the_tail_that_a_page_shows_is_not(target: Target, cast: dict[str, User]) -> None:
    step = started(target, cast)
    browser(cast["ann"]).get(reverse("step_log", args=[step.pk]), headers={"HX-Request": "true"})
    assert last().action != "log.read"


def test_the_page_of_manifests_and_the_checklist_are_told_too(target: Target, cast: dict[str, User]) -> None:
    rollout, told = factories.make_waiting(target, cast["rita"]), []
    for route in ("rollout_manifests", "rollout_checklist_md"):
        assert browser(cast["ann"]).get(reverse(route, args=[rollout.pk])).status_code == 200
        told.append((last().action, last().subject_id, rollout.digest in last().body))
    assert told == [("manifest.read", str(rollout.pk), True), ("checklist.read", str(rollout.pk), True)]
