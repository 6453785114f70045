"""Builds what the runner is told for a step: its folder, intent, argv and environment."""

import os
import shutil
import sys
from pathlib import Path

from django.conf import settings

from monitoring import storage
from rollout import freezing
from rollout.drivers import DRIVERS, Driver
from rollout.drivers.argv import PASSED_ON
from rollout.intent import Intent
from rollout.models import Backup, Run, Step, Target
from rollout.target import TargetSpec

HOME = settings.BASE_DIR
# Between a claim and the start of the runner lie a few milliseconds; a worker that was killed there leaves a claim.
START_GRACE_S = 5.0


def lock_path(target: Target) -> Path:
    """Return the lock file of a target on this host."""
    return Path(settings.GR_RUN_DIR) / "locks" / f"{target.component.name}@{target.environment.name}.lock"


def folder_of(step: Step) -> Path:
    """Return the folder of a step's attempt, made when it is not there."""
    folder = Path(settings.GR_RUN_DIR) / "steps" / step.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def clear_next_folder(step: Step) -> None:
    """Remove the folder of the attempt that comes next, which can be there only from another life of the database.

    Row numbers are given again after a restore; an old exit.json would be taken for the end of the new attempt.
    """
    shutil.rmtree(Path(settings.GR_RUN_DIR) / "steps" / step.folder_of_attempt(step.attempt + 1), ignore_errors=True)


def argv_of(step: Step, folder: Path) -> list[str]:
    """Return the command of one of our steps."""
    return [sys.executable, "-m", f"rollout.steps.{step.kind}", str(folder)]


def environment() -> dict[str, str]:
    """Return the few variables that a step may inherit; no secret is among them."""
    return {key: os.environ[key] for key in PASSED_ON if key in os.environ}


def driver_of(run: Run) -> Driver:
    """Return the driver that changes a run's target."""
    return DRIVERS[spec_of(run).driver]


def intent_of(run: Run, step: Step) -> Intent:
    """Return everything that a step may know."""
    rollout = run.rollout
    archive = archive_of(run)
    backup = backup_of(run)
    return Intent(
        token=step.folder,
        epoch=run.epoch,
        run_kind=run.kind,
        step_kind=step.kind,
        title=step.title,
        target=spec_of(run),
        params=step.params,
        backups=str(settings.GR_BACKUPS),
        scratch=str(Path(settings.GR_VAR) / "scratch"),
        archive=str(storage.path_of(settings.GR_ARTIFACTS, archive)) if archive else "",
        archive_sha256=archive,
        backup=backup.path if backup else "",
        backup_sha256=backup.sha256 if backup else "",
        live_version=run.target.live_version,
        commit=rollout.release.commit,
    )


def spec_of(run: Run) -> TargetSpec:
    """Return how a run changes its target: a deploy, and what follows from it by itself, as it was signed.

    A rollback that a person starts goes by the configuration in force, so that he can mend that first.
    """
    by_hand = run.kind == Run.Kind.ROLLBACK and run.started_by_id is not None
    if run.kind == Run.Kind.VALIDATE or by_hand or not freezing.is_intact(run.rollout):
        return run.target.spec
    return TargetSpec.from_dict(freezing.signed(run.rollout)["target"])


def archive_of(run: Run) -> str:
    """Return the sha256 of the release archive that a run works with: of a deploy, the one that was signed."""
    if run.kind == Run.Kind.ROLLBACK:
        return ""
    if run.kind == Run.Kind.DEPLOY:
        return str(freezing.signed(run.rollout)["release"]["archive_sha256"])
    archive = run.rollout.release.archive
    return archive.sha256 if archive else ""


def backup_of(run: Run) -> Backup | None:
    """Return the backup that a run works with: the one that it restores, or the one that it took."""
    return run.restores or run.backups.filter(kind=Backup.Kind.BACKUP).first()
