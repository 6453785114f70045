"""Releases that crash: 1.3.0 already in its rehearsal, 1.4.0 only where it was to go live."""

import pytest

from tests.journeys.house import CANARY, House
from tests.journeys.sight import DATABASE, Chapter, in_backup, witnessed

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def test_crash_in_the_rehearsal_leaves_a_draft_with_the_reason(house: House, crashed: Chapter) -> None:
    house.must(crashed.rollout, "DRAFT")
    assert crashed.rollout.state_why.startswith("Deploy dry run: ")


def test_crash_in_the_rehearsal_stands_with_its_cause_in_the_output(house: House, crashed: Chapter) -> None:
    step = crashed.rollout.runs.get().steps.get(state="FAILED")
    assert "No module named 'dhash.codecs'" in house.person("rita").read(f"/steps/{step.pk}/log/")


def test_crash_in_the_rehearsal_changes_nothing_on_the_target(crashed: Chapter) -> None:
    before, after = crashed.before, crashed.after
    assert (before.link, before.code, before.releases) == (after.link, after.code, after.releases)
    assert before.health["launch"] == after.health["launch"]


def test_steps_after_the_crash_are_skipped(crashed: Chapter) -> None:
    states = list(crashed.rollout.runs.get().steps.values_list("state", flat=True))
    failed = states.index("FAILED")
    assert (set(states[:failed]), set(states[failed + 1 :])) == ({"SUCCEEDED"}, {"SKIPPED"})


def test_crash_on_the_live_target_is_rolled_back_by_itself(house: House, failed_live: Chapter) -> None:
    house.must(failed_live.rollout, "ROLLED_BACK")
    failed = failed_live.rollout.runs.get(kind="deploy").steps.get(state="FAILED")
    assert (failed.kind, failed_live.rollout.runs.get(kind="rollback").automatic) == ("switch", True)


def test_crash_on_the_live_target_leaves_code_and_link_as_before(failed_live: Chapter) -> None:
    assert (failed_live.after.link, failed_live.after.code) == (failed_live.before.link, failed_live.before.code)
    assert failed_live.after.health["version"] == "1.0.0"


def test_crash_on_the_live_target_restores_the_database_before_the_start(house: House, failed_live: Chapter) -> None:
    assert witnessed(house.world, CANARY)[-1]["database"] == in_backup(failed_live.rollout.backup, DATABASE)


def test_crash_on_the_live_target_opens_an_incident_and_locks(house: House, failed_live: Chapter) -> None:
    incident = failed_live.rollout.runs.get(kind="rollback").incident
    assert (incident.severity, incident.title) == ("P1", "Deploy failed: Switch to 1.4.0 and reload")
    assert house.target(CANARY).lock_reason.startswith("rolled back from 1.4.0")
