"""Rows name files: none of them makes the product remove, or hand out, what it was never told of."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.urls import reverse

from monitoring import anchors, audit, checkpoints, incidents, storage
from monitoring.audit import SYSTEM
from monitoring.models import Attachment, AuditEntry, Incident
from rollout import backups, bundle, evidence, orphans, retiring, transitions, unnamed
from rollout.models import Artifact, Backup, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, fresh, later
from tests.fakes import FakeRunner, drive
from tests.monitoring.signed import house, write
from tests.rollout import bundle_world
from tests.rollout.test_edited_rows import Cast, started, succeeded
from tests.rollout.test_housekeeping import age
from tests.rollout.test_opened import asked_for
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
LONG = NOW + timedelta(days=400)


@pytest.fixture(autouse=True)
def own_files(settings: LazySettings, tmp_path: Path) -> None:
    house(settings, tmp_path / "house")
    settings.GR_VAR, settings.GR_ARTIFACTS = tmp_path, tmp_path / "artifacts"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"


@pytest.fixture
def fake(fake: FakeRunner, settings: LazySettings) -> FakeRunner:
    """Let its backups stand where those of the product do."""
    settings.GR_BACKUPS = fake.root
    return fake


def live(target: Target, cast: Cast, fake: FakeRunner, version: str = "1.1.0") -> Backup:
    """Return the backup of a release that is live, with a file, as if it had been taken by its deploy."""
    rollout = succeeded(started(target, cast, version), fake).rollout
    backup = fresh(rollout).backup
    assert backup is not None
    return with_file(backup)


def with_file(backup: Backup) -> Backup:
    path = Path(backup.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0123456789")
    return backup


def requested(target: Target, number: int, *, at: datetime = NOW) -> Backup:
    """Return a backup that a person asked for, with its file and its entry."""
    facts: dict[str, Any] = {"kind": "backup", "sha256": f"{number:064x}", "size": 10, "members": 1, "rows": {}}
    folder = Path(retiring.removable.settings.GR_BACKUPS)
    facts |= {"path": str(folder / f"dhash_production_2026010{number}_000000.zip"), "release_version": "1.0.0"}
    return with_file(backups.register(target, facts, by=SYSTEM, now=at))


@pytest.mark.parametrize("what", ["anchor", "key"])
def test_a_row_of_a_backup_that_names_another_file_removes_it_not(target: Target, what: str) -> None:
    write(3)
    checkpoints.Notary(()).look(NOW)
    path = anchors.path() if what == "anchor" else checkpoints.key_file()
    backup = requested(target, 1)
    forger.edit(backup, path=str(path), removed_at=str(NOW)[:19], removed_why="removed by retention after 1 days")
    retiring.run(later(60))
    assert path.exists()


def test_a_row_that_says_that_it_was_removed_removes_nothing(target: Target) -> None:
    backup = requested(target, 1)
    forger.edit(backup, removed_at=str(LONG)[:19], removed_why="removed by retention after 1 days")
    retiring.run(LONG)
    assert Path(backup.path).exists()


def test_a_row_that_says_that_it_is_old_removes_nothing(target: Target) -> None:
    requested(target, 2)
    backup = requested(target, 1)
    forger.edit(backup, created_at="2020-01-01 00:00:00")
    retiring.run(later(60))
    assert Path(backup.path).exists() and fresh_backup(backup).removed_at is None


def test_a_row_that_names_a_file_of_the_same_name_elsewhere_removes_it_not(target: Target, tmp_path: Path) -> None:
    backup = requested(target, 1)
    elsewhere = tmp_path / "elsewhere" / Path(backup.path).name
    elsewhere.parent.mkdir()
    Path(backup.path).rename(elsewhere)
    forger.edit(backup, path=str(elsewhere))
    requested(target, 2, at=later(7200))
    retiring.run(LONG)
    retiring.run(LONG)
    assert elsewhere.exists()


def test_nor_when_the_audit_tells_that_one_of_its_name_was_removed(target: Target, tmp_path: Path) -> None:
    backup = requested(target, 1)
    requested(target, 2, at=later(7200))
    retiring.run(LONG)
    elsewhere = tmp_path / "elsewhere" / Path(backup.path).name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"precious")
    forger.edit(backup, path=str(elsewhere))
    retiring.run(LONG)
    assert elsewhere.exists()


def test_nor_one_to_which_a_link_in_their_folder_leads(target: Target, tmp_path: Path) -> None:
    backup = requested(target, 1)
    requested(target, 2, at=later(7200))
    elsewhere = Path(backup.path).rename(tmp_path / "precious")
    Path(backup.path).symlink_to(elsewhere)
    retiring.run(LONG)
    assert Path(backup.path).is_symlink() and elsewhere.exists()


def test_one_whose_days_are_over_by_both_is_removed(target: Target) -> None:
    backup = requested(target, 1)
    requested(target, 2)
    assert retiring.run(LONG) == 1
    assert not Path(backup.path).exists()


@pytest.mark.parametrize("state", ["FAILED", "ROLLED_BACK"])
def test_the_backup_of_what_is_live_stays_whatever_its_rollout_says(
    target: Target, cast: Cast, fake: FakeRunner, state: str
) -> None:
    backup = live(target, cast, fake)
    requested(target, 2, at=later(7200))
    forger.edit(fresh(backup.run.rollout), state=state)  # type: ignore[union-attr]
    retiring.run(LONG)
    assert Path(backup.path).exists()


def test_the_backup_of_a_deploy_that_is_watched_stays_whatever_rows_say(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    backup = with_file(Backup.objects.get(run=deploy))
    requested(target, 2, at=later(7200))
    forger.edit(fresh(deploy.rollout), state="FAILED")
    forger.edit(deploy, state="FAILED")
    retiring.run(LONG)
    assert Path(backup.path).exists()


def test_that_of_a_release_which_another_one_followed_goes(target: Target, cast: Cast, fake: FakeRunner) -> None:
    first = live(target, cast, fake)
    last = live(target, cast, fake, "1.2.0")
    retiring.run(LONG)
    assert (Path(first.path).exists(), Path(last.path).exists()) == (False, True)


def test_a_later_success_that_somebody_made_up_lets_it_stay(target: Target, cast: Cast, fake: FakeRunner) -> None:
    backup = live(target, cast, fake)
    requested(target, 2, at=later(7200))
    rollout = fresh(backup.run.rollout)  # type: ignore[union-attr]
    with audit.turn():
        entry = audit.append(
            action="rollout.succeeded", by=SYSTEM, subject=transitions.subject_of(rollout), new="SUCCEEDED", now=NOW
        )
    forger.edit(entry, hash="0" * 64)
    forger.edit(rollout, state="FAILED")
    retiring.run(LONG)
    assert Path(backup.path).exists()


def test_a_file_whose_row_was_taken_away_stays_though_an_incident_of_old_names_it(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    backup = live(target, cast, fake)
    place = Path(backup.path).with_name("dhash_production_20200101_000000.zip")
    tell(backup, place)
    requested(target, 2)
    Incident.objects.create(
        title=unnamed.TITLE, summary=f"- {place.name}: 10 bytes", severity="P2", opened_at=NOW - timedelta(days=400),
        subject_kind="storage", subject_id="x",
    )  # fmt: skip
    age(place, 2 * 86_400)
    unnamed.retire(NOW)
    assert place.exists()


def tell(backup: Backup, place: Path) -> None:
    place.write_bytes(b"0123456789")
    data = {"path": place.name, "sha256": backup.sha256, "run": backup.run_id}
    with audit.turn():
        subject = transitions.subject_of(backup.target)
        audit.append(action="backup.taken", by=SYSTEM, subject=subject, data=data, now=NOW)


def test_the_bytes_of_evidence_whose_row_was_edited_stay(target: Target, cast: Cast) -> None:
    artifact = factories.make_draft(target, cast["rita"]).release.archive
    assert artifact is not None
    path = evidence.path_of(artifact)
    forger.edit(artifact, sha256="0" * 64)
    age(path, 2 * 86_400)
    orphans.sweep(NOW)
    assert path.exists()


@pytest.fixture
def secret() -> Path:
    """Return a file that nobody may read: the key that signs the audit."""
    write(3)
    checkpoints.Notary(()).look(NOW)
    return checkpoints.key_file()


PATHS = {"absolute": str, "relative": lambda path: f"../../house/keys/{path.name}"}


@pytest.mark.parametrize("shape", PATHS)
def test_an_artifact_whose_row_names_another_file_is_not_handed_out(
    target: Target, cast: Cast, secret: Path, shape: str, tmp_path: Path
) -> None:
    artifact = factories.make_draft(target, cast["rita"]).release.archive
    assert artifact is not None
    place = "/dev/shm/k" if shape == "absolute" else PATHS[shape](secret)
    Path("/dev/shm/k").write_bytes(secret.read_bytes())
    forger.edit(artifact, sha256=place)
    assert browser(cast["rita"]).get(reverse("artifact", args=[artifact.pk])).status_code == 404
    Path("/dev/shm/k").unlink()


def test_an_attachment_whose_row_names_another_file_is_not_handed_out(target: Target, cast: Cast, secret: Path) -> None:
    incident = incidents.open(
        subject=transitions.subject_of(target), severity="P2", title="looks bad", summary="", runbook="", by=SYSTEM,
        routes=[], url="", now=NOW,
    )  # fmt: skip
    incidents.attach(incident, name="a.txt", data=b"text", by=SYSTEM, now=NOW)
    forger.edit(Attachment.objects.get(), sha256=f"../../keys/{secret.name}")
    url = reverse("attachment", args=[Attachment.objects.get().pk])
    assert browser(cast["ada"]).get(url).status_code == 404


def test_a_bundle_holds_no_file_that_a_row_names(target: Target, cast: Cast, tmp_path: Path, secret: Path) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    artifact = Artifact.objects.filter(release=rollout.release, kind="release_archive").get()
    forger.edit(artifact, sha256=PATHS["relative"](secret))
    assert b"PRIVATE KEY" not in b"".join(
        path.read_bytes()
        for path in bundle_world.unpacked(
            bundle_world.zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out"
        ).folder.rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("name", ["", "x", "/etc/passwd", "../" * 20, "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_sha256_leads_nowhere(name: str, tmp_path: Path) -> None:
    assert not storage.path_of(tmp_path, name).exists()
    assert storage.path_of(tmp_path, name).parent == tmp_path


def fresh_backup(backup: Backup) -> Backup:
    return Backup.objects.get(pk=backup.pk)


def test_the_backup_of_what_is_live_again_after_a_newer_one_was_rolled_back_stays(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    first = live(target, cast, fake)
    later_one = succeeded(started(target, cast, "1.2.0"), fake)
    drive(asked_for(later_one, cast), fake)
    requested(target, 2, at=later(7200))
    forger.edit(fresh(first.run.rollout), state="CANCELLED")  # type: ignore[union-attr]
    Incident.objects.update(state="CLOSED")
    retiring.run(LONG)
    assert Path(first.path).exists()


def test_a_file_whose_row_and_entry_were_taken_away_stays(target: Target) -> None:
    backup = requested(target, 1)
    requested(target, 2, at=later(7200))
    age(Path(backup.path), 2 * 86_400)
    forger.remove(AuditEntry.objects.get(action="backup.taken", body__contains=backup.sha256))
    forger.remove(backup)
    Incident.objects.create(
        title=unnamed.TITLE, summary=f"- {Path(backup.path).name}: 10 bytes, made", severity="P2",
        opened_at=NOW - timedelta(days=300), subject_kind="storage", subject_id="x",
    )  # fmt: skip
    unnamed.retire(later(3 * 3600))
    assert Path(backup.path).exists()


def test_the_bytes_of_evidence_whose_row_and_entry_were_edited_stay(target: Target, cast: Cast) -> None:
    artifact = factories.make_draft(target, cast["rita"]).release.archive
    assert artifact is not None
    path = evidence.path_of(artifact)
    for one in AuditEntry.objects.filter(body__contains=artifact.sha256):
        forger.edit(one, action="artifact.x")
    forger.edit(artifact, sha256="0" * 64)
    age(path, 2 * 86_400)
    orphans.sweep(NOW)
    assert path.exists()
