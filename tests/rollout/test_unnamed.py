"""An archive that no row names is told once, and goes when its days are over since then, never unannounced."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings

from monitoring.models import AuditEntry, Incident
from rollout import housekeeping, orphans, unnamed
from rollout.models import Backup, Configuration, Target
from tests.factories import NOW

pytestmark = pytest.mark.django_db
NAME = "dhash_production_20260901_000000.zip"
LATER = NOW + timedelta(days=31)


@pytest.fixture(autouse=True)
def var(settings: LazySettings, tmp_path: Path) -> Path:
    """Give every test a var of its own."""
    settings.GR_VAR = tmp_path
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    return tmp_path


def archive(settings: LazySettings, name: str = NAME, *, age: timedelta = timedelta(days=80)) -> Path:
    path = Path(settings.GR_BACKUPS) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0123456789")
    path.with_name(f"{path.name}.sha256").write_text("a sidecar")
    moment = (NOW - age).timestamp()
    os.utime(path, (moment, moment))
    return path


def recorded(target: Target, path: str = "/kept/newer.zip", *, at: datetime = NOW) -> Backup:
    row = {"sha256": "1" * 64, "size": 10, "release_version": "1.0.0", "created_at": at, "verified_at": at}
    return Backup.objects.create(target=target, path=path, **row)


def test_it_is_told_once_with_where_it_is_and_what_becomes_of_it(target: Target, settings: LazySettings) -> None:
    path = archive(settings)
    assert (unnamed.look(NOW), unnamed.look(NOW)) == (1, 0)
    incident = Incident.objects.get()
    assert (incident.severity, incident.component) == ("P2", "dhash")
    assert all(words in incident.summary for words in (str(path), "10 bytes", "backup_keep_days"))


def test_an_undo_copy_and_one_of_no_known_target_are_told_as_well(target: Target, settings: LazySettings) -> None:
    archive(settings, "undo/undo_dhash_production_20260901_000000.zip")
    archive(settings, "gone component_x_20260901_000000.zip")
    assert (unnamed.look(NOW), unnamed.look(NOW)) == (2, 0)
    assert {incident.component for incident in Incident.objects.all()} == {"dhash", ""}


@pytest.mark.parametrize("name", ["mine.zip", ".dhash_production_20260901_000000.zip.partial"])
def test_what_is_named_otherwise_is_nobodys_business(name: str, target: Target, settings: LazySettings) -> None:
    archive(settings, name)
    assert unnamed.look(NOW) == 0


def test_one_that_may_be_on_its_way_to_its_row_is_not_told(target: Target, settings: LazySettings) -> None:
    archive(settings, age=timedelta(hours=23))
    assert unnamed.look(NOW) == 0


@pytest.mark.parametrize("root", ["/backups", "/before/it/was/moved"])
def test_one_that_a_row_names_is_not_told_wherever_the_folder_stood(
    root: str, target: Target, settings: LazySettings
) -> None:
    archive(settings)
    recorded(target, f"{root}/{NAME}")
    assert unnamed.look(NOW) == 0


def test_it_goes_with_its_sidecar_when_its_days_are_over_since_it_was_told(
    target: Target, settings: LazySettings
) -> None:
    path = archive(settings)
    recorded(target)
    unnamed.look(NOW)
    assert (unnamed.retire(NOW + timedelta(days=30)), path.exists()) == (0, True)
    assert (unnamed.retire(LATER), list(path.parent.iterdir())) == (1, [])
    assert NAME in AuditEntry.objects.get(action="backup.removed").body


def test_it_never_goes_before_it_was_told_however_old_it_is(target: Target, settings: LazySettings) -> None:
    path = archive(settings, age=timedelta(days=900))
    recorded(target)
    assert (unnamed.retire(LATER), path.exists()) == (0, True)


def test_the_newest_that_there_is_of_a_target_stays(target: Target, settings: LazySettings) -> None:
    path = archive(settings)
    recorded(target, at=NOW - timedelta(days=81))
    unnamed.look(NOW)
    assert (unnamed.retire(LATER), path.exists()) == (0, True)


def test_nothing_goes_on_a_guess_about_the_days(target: Target, settings: LazySettings) -> None:
    path = archive(settings)
    recorded(target)
    unnamed.look(NOW)
    Configuration.objects.update(text="not toml [")
    assert (unnamed.retire(LATER), path.exists()) == (0, True)


def test_one_of_no_known_target_stays_until_a_person_removes_it(target: Target, settings: LazySettings) -> None:
    path = archive(settings, "gone_x_20260901_000000.zip")
    unnamed.look(NOW)
    assert (unnamed.retire(LATER), path.exists()) == (0, True)


def test_the_housekeeping_tells_and_removes(target: Target, settings: LazySettings) -> None:
    path = archive(settings)
    newer = archive(settings, "dhash_production_20261123_110000.zip", age=timedelta(hours=1))
    recorded(target, str(newer))
    housekeeping.run(NOW)
    assert Incident.objects.filter(title=unnamed.TITLE).exists() and path.exists()
    housekeeping.run(LATER, remove=False)
    assert path.exists()
    housekeeping.run(LATER)
    assert (path.exists(), newer.exists()) == (False, True)


HALF = [".own-backup-1", "gr_backups/.own-backup-1", "gr_backups/.scratch-1", "gr_backups/undo/.a.zip.partial"]


@pytest.mark.parametrize("name", HALF)
def test_what_a_killed_backup_was_writing_goes_after_a_day(name: str, target: Target, var: Path) -> None:
    path = var / name
    path.mkdir(parents=True)
    for age, swept in ((timedelta(hours=23), 0), (timedelta(hours=25), 1)):
        moment = (NOW - age).timestamp()
        os.utime(path, (moment, moment))
        assert orphans.sweep(NOW) == swept
