"""Bad input on the way: a backup with one wrong byte, and a target that is down."""

import pytest

from rollout.models import Rollout
from tests.journeys.house import STAGING, House
from tests.journeys.sight import Chapter

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def test_corrupt_backup_is_refused_at_the_first_step(refused: Chapter) -> None:
    run = refused.rollout.runs.filter(kind="rollback").earliest("pk")
    states = list(run.steps.values_list("kind", "state"))
    assert states[0] == ("verify", "FAILED")
    assert {state for _, state in states[1:]} == {"SKIPPED"}


def test_corrupt_backup_leaves_the_target_untouched(refused: Chapter) -> None:
    before, after = refused.before, refused.after
    assert (after.link, after.code, after.releases) == (before.link, before.code, before.releases)
    assert after.health["launch"] == before.health["launch"]


def test_corrupt_backup_leaves_a_state_that_says_so(refused: Chapter) -> None:
    assert refused.rollout.state == "NOT_RESTORED"
    assert "Nothing was touched" in refused.rollout.state_why


def test_corrupt_backup_opens_an_incident_of_the_highest_severity(refused: Chapter) -> None:
    run = refused.rollout.runs.filter(kind="rollback").earliest("pk")
    assert run.incident.severity == "P0"
    assert any("Nothing was touched" in entry.text for entry in run.incident.entries.all())


def test_down_target_fails_the_validate_run_at_preflight(house: House, down_at_once: Rollout) -> None:
    house.must(down_at_once, "DRAFT")
    assert "refused the connection. Nothing was changed" in down_at_once.state_why
    assert down_at_once.runs.get().steps.exclude(state="SKIPPED").get().kind == "preflight"


def test_down_target_is_left_as_it_was_by_the_validate_run(house: House, down_at_once: Rollout) -> None:
    root = house.world.root(STAGING)
    assert [one.name for one in (root / "releases").iterdir()] == ["0001-1.0.0"]
    assert str((root / "current").readlink()) == "releases/0001-1.0.0"


def test_target_that_went_down_after_the_sign_off_fails_the_deploy_at_preflight(house: House, down: Chapter) -> None:
    house.must(down.rollout, "FAILED")
    assert down.rollout.runs.get(kind="deploy").steps.get(attempt=1).kind == "preflight"


def test_deploy_that_failed_at_preflight_changed_nothing(down: Chapter) -> None:
    before, after = down.before, down.after
    assert (after.link, after.code, after.releases) == (before.link, before.code, before.releases)
