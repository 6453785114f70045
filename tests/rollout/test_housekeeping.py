"""The house is kept: backups go when their time is over, orphans are swept, lost files are told once."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring import audit, audit_verify, incidents, storage
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry, Incident
from rollout import (
    actions,
    backups,
    evidence,
    heartbeat,
    housekeeping,
    missing,
    orphans,
    retiring,
    told,
    transitions,
)
from rollout.models import Artifact, Backup, Heartbeat, Idempotency, Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from tests import factories
from tests.factories import NOW, actor
from tests.fakes import FakeRunner

pytestmark = pytest.mark.django_db
DAY_S = 86_400


@pytest.fixture(autouse=True)
def var(settings: LazySettings, tmp_path: Path) -> Path:
    """Give every test a var of its own."""
    settings.GR_VAR = tmp_path
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    return tmp_path


def backup_of(target: Target, number: int, *, age_days: float, folder: Path, **values: Any) -> Backup:
    folder.mkdir(exist_ok=True)
    path = folder / f"dhash_production_{number}.zip"
    path.write_bytes(b"0123456789")
    path.with_name(f"{path.name}.sha256").write_text("a sidecar")
    at = NOW - timedelta(days=age_days)
    row = {"sha256": f"{number:064x}", "size": 10, "release_version": "1.0.0", "created_at": at, "verified_at": at}
    backup = Backup.objects.create(target=target, path=str(path), **{**row, **values})
    tell(told.TAKEN, backup, at, run=backup.run_id)
    return backup


def tell(action: str, backup: Backup, at: datetime, **more: Any) -> None:
    """Let the audit tell of a backup as the product does."""
    data = {"path": str(backup), "sha256": backup.sha256, **more}
    with audit.turn():
        audit.append(action=action, by=SYSTEM, subject=transitions.subject_of(backup.target), data=data, now=at)


@pytest.fixture
def old(target: Target, settings: LazySettings) -> Backup:
    """Return a backup whose time is over, beside a fresh one."""
    backup_of(target, 2, age_days=1, folder=settings.GR_BACKUPS)
    return backup_of(target, 1, age_days=40, folder=settings.GR_BACKUPS)


def make_deployed(target: Target, cast: dict[str, User], state: str, **columns: Any) -> Rollout:
    return factories.put_in(factories.make_draft(target, cast["rita"]), state, started_at=NOW, **columns)


def with_effects(rollout: Rollout) -> Rollout:
    run = rollout.runs.create(target=rollout.target, kind="deploy", state=N.SUCCEEDED, created_at=NOW)
    run.steps.create(number=1, kind="switch", title="Switch", effect=True, attempt=1)
    return factories.fresh(rollout)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Retention


def test_a_backup_that_is_over_goes_with_its_sidecar_and_its_row_says_so(old: Backup, settings: LazySettings) -> None:
    assert retiring.run(NOW) == 1
    old.refresh_from_db()
    assert (old.removed_at, old.removed_why) == (NOW, "removed by retention after 30 days")
    assert names(settings.GR_BACKUPS) == ["dhash_production_2.zip", "dhash_production_2.zip.sha256"]
    assert AuditEntry.objects.filter(action="backup.removed").count() == 1


def test_a_file_that_a_crash_left_after_the_mark_goes_the_next_time(old: Backup) -> None:
    tell("backup.removed", old, NOW)
    Backup.objects.filter(pk=old.pk).update(removed_at=NOW, removed_why=f"{retiring.BY_RETENTION} after 30 days")
    assert retiring.run(NOW + timedelta(hours=1)) == 1
    assert not Path(old.path).exists()


def test_a_file_that_was_put_back_later_stays(old: Backup) -> None:
    Backup.objects.filter(pk=old.pk).update(removed_at=NOW, removed_why=f"{retiring.BY_RETENTION} after 30 days")
    assert retiring.run(NOW + timedelta(days=2)) == 0
    assert Path(old.path).exists()


@pytest.mark.parametrize("state", [R.DRAFT, R.WAITING, R.WATCHING, R.ROLLING_BACK, R.UNKNOWN, R.NOT_RESTORED])
def test_the_backup_of_an_open_or_active_rollout_stays(state: str, old: Backup, target: Target, cast: dict) -> None:
    make_deployed(target, cast, state, backup=old)
    assert retiring.run(NOW) == 0


def test_the_backup_that_the_newest_succeeded_rollout_goes_back_to_stays(
    old: Backup, target: Target, cast: dict
) -> None:
    make_deployed(target, cast, R.SUCCEEDED, backup=old)
    assert retiring.run(NOW) == 0


def test_the_backup_of_a_rollout_that_another_one_followed_goes(old: Backup, target: Target, cast: dict) -> None:
    first = make_deployed(target, cast, R.SUCCEEDED, backup=old)
    Rollout.objects.filter(pk=first.pk).update(started_at=NOW - timedelta(days=40))
    release = factories.make_release(target.component, cast["rita"], "1.2.0")
    later = factories.make_draft(target, cast["rita"], release=release)
    factories.put_in(later, R.SUCCEEDED, started_at=NOW)
    assert retiring.run(NOW) == 1


def test_the_backup_of_an_open_incident_stays_until_it_is_closed(old: Backup, target: Target, cast: dict) -> None:
    rollout = make_deployed(target, cast, R.ROLLED_BACK, backup=old)
    incident = incidents.open(
        subject=transitions.subject_of(rollout),
        severity="P1",
        title="looks bad",
        summary="",
        runbook="",
        by=SYSTEM,
        routes=[],
        url="",
        now=NOW,
    )
    assert retiring.run(NOW) == 0
    incidents.close(incident, resolution="it was the cable", by=SYSTEM, now=NOW)
    assert retiring.run(NOW) == 1


def test_a_backup_that_a_run_is_restoring_stays(old: Backup, target: Target, cast: dict) -> None:
    rollout = make_deployed(target, cast, R.SUPERSEDED)
    Run.objects.create(rollout=rollout, target=target, kind="rollback", state=N.RUNNING, restores=old, created_at=NOW)
    assert retiring.run(NOW) == 0


def test_a_backup_outside_our_folder_is_never_removed(old: Backup, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine.zip"
    elsewhere.write_bytes(b"0123456789")
    Backup.objects.filter(pk=old.pk).update(path=str(elsewhere))
    assert retiring.run(NOW) == 0


def test_nobody_is_offered_a_rollback_to_a_backup_that_went(old: Backup, target: Target, cast: dict) -> None:
    rollout = with_effects(make_deployed(target, cast, R.SUCCEEDED, backup=old))
    Backup.objects.filter(pk=old.pk).update(removed_at=NOW, removed_why="removed by retention after 30 days")
    Path(old.path).unlink()
    olaf = cast["olaf"]
    with pytest.raises(Refused, match="was removed by retention after 30 days"):
        actions.roll_back(factories.fresh(rollout), user=olaf, why="it is slow", by=actor(olaf), now=NOW)


def test_a_backup_that_went_while_a_rollback_to_it_was_asked_for_is_refused(
    old: Backup, target: Target, cast: dict
) -> None:
    rollout = with_effects(make_deployed(target, cast, R.SUCCEEDED))
    olaf, seen = cast["olaf"], Backup.objects.get(pk=old.pk)
    retiring.run(NOW)  # between the look at the row and the rollback
    with pytest.raises(Refused, match="has just been removed"):
        actions.roll_back(rollout, user=olaf, why="it is slow", by=actor(olaf), now=NOW, backup=seen)
    assert factories.fresh(rollout).state == R.SUCCEEDED


def test_a_backup_that_a_rollback_took_after_retention_looked_stays(
    old: Backup, target: Target, cast: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout, held = make_deployed(target, cast, R.SUPERSEDED), retiring._held()
    Run.objects.create(rollout=rollout, target=target, kind="rollback", state=N.RUNNING, restores=old, created_at=NOW)
    monkeypatch.setattr(retiring, "_held", lambda: held)
    assert retiring.run(NOW) == 0
    old.refresh_from_db()
    assert (old.removed_at, old.removed_why, Path(old.path).exists()) == (None, "", True)


# Orphans


def kept(root: Path, content: bytes, *, age_s: float) -> Path:
    path = storage.put(root, [content], limit=100).path
    age(path, age_s)
    return path


def age(path: Path, age_s: float) -> None:
    moment = NOW.timestamp() - age_s
    os.utime(path, (moment, moment))


def test_a_file_that_no_row_names_goes_after_a_day(settings: LazySettings, target: Target) -> None:
    path = kept(settings.GR_ARTIFACTS, b"orphan", age_s=DAY_S + 1)
    assert orphans.sweep(NOW) == 1
    assert not path.exists()


def test_a_file_that_no_row_names_yet_stays_for_a_day(settings: LazySettings, target: Target) -> None:
    path = kept(settings.GR_ARTIFACTS, b"orphan", age_s=DAY_S - 1)
    assert orphans.sweep(NOW) == 0
    assert path.exists()


def test_an_artifact_stays_whatever_its_age(target: Target, cast: dict) -> None:
    factories.make_release(target.component, cast["rita"])
    path = evidence.path_of(Artifact.objects.get())
    age(path, 400 * DAY_S)
    assert orphans.sweep(NOW) == 0
    assert path.exists()


def test_bytes_that_are_brought_again_while_they_are_swept_stay(settings: LazySettings, target: Target) -> None:
    path = kept(settings.GR_ARTIFACTS, b"orphan", age_s=DAY_S + 1)

    def brought_now(sha256: str) -> bool:
        kept(settings.GR_ARTIFACTS, b"orphan", age_s=0)  # its row is not written yet
        return False

    orphans._condemn(path, brought_now, (NOW - orphans.OLD).timestamp())
    assert path.read_bytes() == b"orphan"


def test_a_file_that_is_named_after_its_name_was_taken_away_gets_it_back(target: Target, cast: dict) -> None:
    factories.make_release(target.component, cast["rita"])
    path = evidence.path_of(Artifact.objects.get())
    age(path, 2 * DAY_S)
    path.rename(path.with_name(f"{orphans.CONDEMNED}{path.name}"))  # a crash left it so
    assert orphans.sweep(NOW) == 0
    assert path.exists()


@pytest.mark.parametrize("name", ["gr_artifacts/.incoming-00", "uploads/x.upload", "scratch/rehearsal", ".ballast-1"])
def test_what_a_killed_process_was_writing_goes_after_a_day(name: str, target: Target, var: Path) -> None:
    path = var / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half")
    age(path, DAY_S + 1)
    assert orphans.sweep(NOW) == 1


# Rows without their file


def test_a_missing_artifact_opens_one_incident_that_says_what_to_do(target: Target, cast: dict) -> None:
    factories.make_release(target.component, cast["rita"])
    artifact = Artifact.objects.get()
    evidence.path_of(artifact).unlink()
    missing.look(NOW)
    missing.look(NOW)
    incident = Incident.objects.get()
    assert (incident.severity, incident.component) == ("P1", "dhash")
    assert all(word in incident.summary for word in (artifact.name, artifact.sha256, "missing", "Bring each file back"))


def test_an_artifact_of_another_length_is_told(target: Target, cast: dict) -> None:
    factories.make_release(target.component, cast["rita"])
    path = evidence.path_of(Artifact.objects.get())
    path.chmod(0o600)
    path.write_bytes(b"short")
    missing.look(NOW)
    assert "with 5 bytes instead of" in Incident.objects.get().summary


def test_a_loss_that_comes_later_is_told_beside_an_older_one(target: Target, cast: dict) -> None:
    for version in ("1.1.0", "1.2.0"):
        release = factories.make_release(target.component, cast["rita"], version)
        factories.bring_archive(release, cast["rita"], version.encode())
        evidence.path_of(Artifact.objects.get(release=release, replaced_at=None)).unlink()
        missing.look(NOW)
    assert Incident.objects.count() == 2


def test_a_lost_backup_is_marked_and_told_and_offered_again_when_it_is_back(old: Backup) -> None:
    content = Path(old.path).read_bytes()
    Path(old.path).unlink()
    missing.look(NOW)
    old.refresh_from_db()
    assert (old.removed_why, Incident.objects.count()) == ("found missing", 1)
    Path(old.path).write_bytes(content)
    missing.look(NOW)
    old.refresh_from_db()
    assert (old.removed_at, old.removed_why) == (None, "")


def test_a_rollback_looks_again_for_a_backup_that_was_found_missing(
    old: Backup, target: Target, cast: dict, fake: FakeRunner
) -> None:
    rollout = with_effects(make_deployed(target, cast, R.SUCCEEDED, backup=old))
    away = Path(old.path).rename(f"{old.path}.away")
    missing.look(NOW)
    olaf = cast["olaf"]
    with pytest.raises(Refused, match="was found missing"):
        actions.roll_back(rollout, user=olaf, why="it is slow", by=actor(olaf), now=NOW)
    away.rename(old.path)
    run = actions.roll_back(factories.fresh(rollout), user=olaf, why="it is slow", by=actor(olaf), now=NOW)
    old.refresh_from_db()
    assert (run.restores, old.removed_why) == (old, "")


def test_no_backup_is_called_lost_while_their_folder_is_away(old: Backup, settings: LazySettings) -> None:
    settings.GR_BACKUPS.rename(settings.GR_BACKUPS.with_name("away"))
    assert missing.look(NOW) == 0
    assert not Backup.objects.exclude(removed_at=None).exists()


def test_a_backup_that_retention_removed_is_no_loss(old: Backup) -> None:
    retiring.run(NOW)
    assert missing.look(NOW) == 0


def test_a_removed_backup_that_was_put_back_is_taken_in_again(old: Backup) -> None:
    Backup.objects.filter(pk=old.pk).update(removed_at=NOW, removed_why="removed by retention after 30 days")
    backups.adopt(Backup.objects.get(pk=old.pk), by=SYSTEM, now=NOW)
    assert Backup.objects.get(pk=old.pk).removed_at is None


# The rest of the house


def test_answers_older_than_a_week_are_forgotten(cast: dict) -> None:
    common = {"owner": cast["rita"], "route": "POST /x", "body_sha256": "", "status": 200, "response": "{}"}
    for days in (6, 8):
        Idempotency.objects.create(key=f"{days} days", at=NOW - timedelta(days=days), **common)
    housekeeping.run(NOW)
    assert [one.key for one in Idempotency.objects.all()] == ["6 days"]


def looked_an_hour_ago() -> None:
    for name in (housekeeping.NAME, heartbeat.of(housekeeping.NAME)):
        Heartbeat.objects.get_or_create(name=name, defaults={"at": NOW - housekeeping.EVERY})


def step_folder(settings: LazySettings, run_id: int) -> Path:
    folder = Path(settings.GR_RUN_DIR) / "steps" / f"run{run_id}-step1-try1"
    folder.mkdir(parents=True)
    for name in ("output.log", "exit.json", "restore.log"):
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(("days", "left"), [(29, 3), (31, 1)])
def test_the_folder_of_a_run_that_ended_a_month_ago_keeps_its_output_only(
    days: int, left: int, target: Target, cast: dict, settings: LazySettings
) -> None:
    rollout = make_deployed(target, cast, R.FAILED)
    ended = NOW - timedelta(days=days)
    run = Run.objects.create(
        rollout=rollout, target=target, kind="deploy", state=N.FAILED, created_at=ended, ended_at=ended
    )
    folder = step_folder(settings, run.pk)
    looked_an_hour_ago()
    housekeeping.due(NOW)
    assert len(names(folder)) == left
    assert (folder / "output.log").exists()


def test_the_folder_of_no_run_goes_after_a_month(target: Target, settings: LazySettings) -> None:
    folder = step_folder(settings, 999)
    age(folder, 31 * DAY_S)
    looked_an_hour_ago()
    housekeeping.due(NOW)
    assert not folder.exists()


def test_each_host_clears_its_own_step_folders(target: Target, settings: LazySettings) -> None:
    looked_an_hour_ago()
    housekeeping.due(NOW)
    settings.GR_HOST_ID = "host-b"
    folder = step_folder(settings, 999)
    age(folder, 31 * DAY_S)
    looked_an_hour_ago()
    housekeeping.due(NOW + timedelta(minutes=1))
    assert not folder.exists()


def test_it_is_done_once_an_hour_whoever_asks(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    done: list[bool] = []
    monkeypatch.setattr(housekeeping, "run", lambda now, *, remove: done.append(remove))
    looked_an_hour_ago()
    for minutes in (0, 1, 59, 60, 61):
        housekeeping.due(NOW + timedelta(minutes=minutes))
    assert done == [True, True]


def test_the_first_look_at_a_database_removes_nothing(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    done: list[bool] = []
    monkeypatch.setattr(housekeeping, "run", lambda now, *, remove: done.append(remove))
    for hours in range(2):
        housekeeping.due(NOW + timedelta(hours=hours))
    assert done == [False, True]


def test_the_first_look_of_a_host_removes_no_step_folder(target: Target, settings: LazySettings) -> None:
    folder = step_folder(settings, 999)
    age(folder, 31 * DAY_S)
    housekeeping.due(NOW)
    assert folder.exists()


def test_nothing_is_removed_on_the_word_of_a_clock_that_leapt(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    done: list[bool] = []
    monkeypatch.setattr(housekeeping, "run", lambda now, *, remove: done.append(remove))
    Heartbeat.objects.create(name=housekeeping.NAME, at=NOW)
    housekeeping.due(NOW + timedelta(days=4000))
    assert done == [False]


def test_a_part_that_fails_keeps_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch, old: Backup, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(now: object) -> None:
        raise OSError("no such disk")

    broken.__module__, broken.__name__ = "missing", "look"
    monkeypatch.setattr(missing, "look", broken)
    housekeeping.run(NOW)
    assert not Path(old.path).exists()
    assert "missing.look failed" in caplog.text


def test_the_audit_holds_after_all_of_it(old: Backup) -> None:
    housekeeping.run(NOW)
    assert audit_verify.verify_database().ok
