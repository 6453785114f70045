"""Builds what the runner is told for a step: its folder, intent, argv and environment."""

import os
import shutil
import sys
from pathlib import Path

from django.conf import settings

from monitoring import storage
from rollout import ballast, freezing, runner
from rollout.drivers import DRIVERS, Driver, fence
from rollout.drivers.argv import PASSED_ON
from rollout.intent import INTENT, Intent
from rollout.models import Backup, Run, Step, Target
from rollout.target import TargetSpec

HOME = settings.BASE_DIR
PROBE = "probe"


def lock_path(target: Target) -> Path:
    """Return the lock file of a target on this host."""
    return Path(settings.GR_RUN_DIR) / "locks" / f"{target.component.name}@{target.environment.name}.lock"


def folder_of(step: Step) -> Path:
    """Return the folder of a step's attempt, made when it is not there."""
    folder = Path(settings.GR_RUN_DIR) / "steps" / step.folder
    storage.make_directory(folder)
    return folder


def make_next_folder(step: Step) -> Path:
    """Return an empty folder for the attempt that comes next.

    One that is there already is from another life of the database: row numbers are given again after a restore, and
    an old exit.json would be taken for the end of the new attempt.
    """
    folder = Path(settings.GR_RUN_DIR) / "steps" / step.folder_of_attempt(step.attempt + 1)
    if folder.exists():
        shutil.rmtree(folder)
    storage.make_directory(folder)
    return folder


def may_have_started(folder: Path) -> bool:
    """Say whether an attempt's command may have been started: its runner says so, or the folder was lost.

    The intent is made durable before the claim. A folder without one was on a disk that did not survive a restart.
    """
    return runner.was_started(folder) or not (folder / INTENT).exists()


def probe_folders(step: Step) -> list[Path]:
    """Return the folders of the probes that were sent after a step's attempt, the oldest first."""
    folder = folder_of(step)
    return sorted(folder.glob(f"{PROBE}[0-9]"))


def argv_of(step: Step, folder: Path) -> list[str]:
    """Return the command of one of our steps, or of the probe that asks how it ended when `folder` is a probe's."""
    kind = PROBE if folder.name.startswith(PROBE) else step.kind
    return [sys.executable, "-m", f"rollout.steps.{kind}", str(folder)]


def environment() -> dict[str, str]:
    """Return the few variables that a step may inherit, and where the reserves stand; no secret is among them."""
    return {key: os.environ[key] for key in PASSED_ON if key in os.environ} | {runner.BALLAST: ballast.for_runner()}


def driver_of(run: Run) -> Driver:
    """Return the driver that changes a run's target."""
    return DRIVERS[spec_of(run).driver]


def seen_epoch(target: Target) -> int:
    """Return the newest epoch that the target itself remembers, as this host sees it; 0 when it remembers none."""
    try:
        return fence.read(target.spec.root_path).epoch
    except (OSError, ValueError):
        return 0


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
        evidence=evidence_of(run),
        backup=backup.path if backup else "",
        backup_sha256=backup.sha256 if backup else "",
        live_version=run.target.live_version,
        commit=rollout.release.commit,
        run=f"run{run.pk}@{run.created_at.isoformat()}",
        effect=step.effect,
    )


def spec_of(run: Run) -> TargetSpec:
    """Return how a run changes its target: a deploy, and what follows from it by itself, as it was signed.

    A rollback that a person starts goes by the configuration in force, so that he can mend that first.
    """
    if by_configuration(run):
        return run.target.spec
    return TargetSpec.from_dict(freezing.signed(run.rollout)["target"])


def by_configuration(run: Run) -> bool:
    """Say whether a run changes its target by the configuration in force, and not by the manifest that was signed."""
    by_hand = run.kind == Run.Kind.ROLLBACK and run.started_by_id is not None
    return run.kind == Run.Kind.VALIDATE or by_hand or not freezing.is_intact(run.rollout)


def archive_of(run: Run) -> str:
    """Return the sha256 of the release archive that a run works with: of a deploy, the one that was signed."""
    if run.kind == Run.Kind.ROLLBACK:
        return ""
    if run.kind == Run.Kind.DEPLOY:
        return str(freezing.signed(run.rollout)["release"]["archive_sha256"])
    archive = run.rollout.release.archive
    return archive.sha256 if archive else ""


def evidence_of(run: Run) -> list[dict[str, str]]:
    """Return the files beside the archive that a deploy rests on, as they were signed."""
    if run.kind != Run.Kind.DEPLOY:
        return []
    kept = [one for one in freezing.signed(run.rollout)["evidence"] if one["kind"] not in ("release_archive", "backup")]
    folder = settings.GR_ARTIFACTS
    return [
        {"name": one["name"], "sha256": one["sha256"], "path": str(storage.path_of(folder, one["sha256"]))}
        for one in kept
    ]


def backup_of(run: Run) -> Backup | None:
    """Return the backup that a run works with: the one that it restores, or the one that it took."""
    if run.kind == Run.Kind.ROLLBACK:
        return run.restores
    return run.backups.filter(kind=Backup.Kind.BACKUP).first()
