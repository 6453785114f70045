"""The bad journey: 1.2.0 breaches a gate and is rolled back to the byte; and a rollback that somebody clicks."""

import pytest

from monitoring.models import Incident
from rollout import evidence
from rollout.models import Target
from tests.journeys.house import PRODUCTION, House
from tests.journeys.sight import DATABASE, Chapter, in_backup, witnessed

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def incident_of(chapter: Chapter) -> Incident:
    return Incident.objects.get(pk=chapter.rollout.runs.get(kind="rollback").incident_id)


def test_a_gate_was_breached_and_the_rollback_started_by_itself(breached: Chapter) -> None:
    deploy, rollback = breached.rollout.runs.get(kind="deploy"), breached.rollout.runs.get(kind="rollback")
    assert (deploy.watch.outcome, deploy.state, rollback.automatic, rollback.started_by) == (
        "BREACHED",
        "FAILED",
        True,
        None,
    )


def test_release_directory_is_equal_to_before_by_sha256(breached: Chapter) -> None:
    assert (breached.after.link, breached.after.code) == (breached.before.link, breached.before.code)


def test_code_was_equal_when_the_service_was_started_again(house: House, breached: Chapter) -> None:
    started = next(one for one in reversed(witnessed(house.world, PRODUCTION)) if one["code"] == breached.before.code)
    assert started["database"] == in_backup(breached.rollout.backup, DATABASE)


def test_release_before_answers_and_takes_images(breached: Chapter) -> None:
    assert breached.after.health["version"] == "1.1.0"
    assert breached.after.image["average_colour"].startswith("#")


def test_incident_is_open_with_log_and_proof_of_the_restore(breached: Chapter) -> None:
    incident = incident_of(breached)
    assert (incident.severity, incident.state, incident.title) == ("P1", "OPEN", "Quality gate breached")
    assert set(incident.attachments.values_list("name", flat=True)) == {"restore.log", "restore-proof.log"}


def test_restore_proof_names_the_database_with_its_sha256(breached: Chapter) -> None:
    proof = evidence.path_of(breached.rollout.artifacts.get(kind="rollback-restore_proof", replaced_at=None))
    assert f"equal {DATABASE} {in_backup(breached.rollout.backup, DATABASE)}" in proof.read_text()


def test_undo_copy_holds_what_was_left(breached: Chapter) -> None:
    undo = breached.rollout.runs.get(kind="rollback").backups.get(kind="undo")
    assert undo.release_version == "1.2.0"


def test_watch_of_what_was_undone_is_closed(breached: Chapter) -> None:
    assert breached.rollout.runs.get(kind="deploy").watch.state == "CLOSED"


def test_next_start_is_refused_with_the_reason_of_the_lock(down: Chapter) -> None:
    assert down.told[0].startswith("409")
    assert "is locked by system: rolled back from 1.2.0" in down.told[0]


def test_start_is_accepted_once_a_person_unlocked_the_target(down: Chapter) -> None:
    assert down.told[1].startswith("302")


def test_clicked_rollback_of_a_succeeded_rollout_brings_back_the_release_before(
    succeeded: Chapter, clicked: Chapter
) -> None:
    assert (clicked.after.health["version"], clicked.after.link) == ("1.0.0", succeeded.before.link)
    assert clicked.after.code == succeeded.before.code


def test_clicked_rollback_undoes_the_migration(clicked: Chapter) -> None:
    assert "average_colour" in clicked.before.image
    assert "average_colour" not in clicked.after.image
    assert clicked.after.health["schema"] == 1


def test_clicked_rollback_started_the_service_with_the_database_of_the_backup(house: House, clicked: Chapter) -> None:
    started = witnessed(house.world, PRODUCTION)[-1]
    assert (started["code"], started["database"]) == (clicked.after.code, in_backup(clicked.rollout.backup, DATABASE))


def test_clicked_rollback_is_in_the_name_of_who_clicked(clicked: Chapter) -> None:
    run = clicked.rollout.runs.filter(kind="rollback").latest("pk")
    assert (run.started_by.username, run.automatic) == ("tom", False)


def test_target_is_locked_after_a_clicked_rollback(clicked: Chapter) -> None:
    target = Target.objects.get(pk=clicked.rollout.target_id)
    assert (target.locked, target.live_version) == (True, "1.0.0")
