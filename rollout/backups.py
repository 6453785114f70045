"""Backups outside of a rollout's runs: taken on request under the target's lock, or found on the disk and examined."""

import secrets
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import Actor
from rollout import commands, missing, runner, told, transitions
from rollout.archive import reader
from rollout.intent import OUTPUT, Intent, Outcome
from rollout.models import Backup, Run, Target

TIMEOUT_S = 3600
LOOK_S = 0.1


def take(target: Target, *, by: Actor, now: datetime, say: Callable[[str], None]) -> Backup:
    """Take a verified backup under the target's lock and register it.

    Raises Refused when the target is busy, the backup fails, or its configuration is not the one that was loaded.
    """
    with audit.turn():
        if problem := next(told.target_problems(target), ""):
            raise Refused(f"No backup was taken: {problem}. The database was edited; load the file again.")
    folder = Path(settings.GR_RUN_DIR) / "steps" / f"backup-{target.pk}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True, mode=0o700)
    intent = Intent(
        token=folder.name,
        epoch=target.epoch,
        run_kind="backup",
        step_kind="backup",
        title="Backup on request",
        target=target.spec,
        params={},
        backups=str(settings.GR_BACKUPS),
        scratch=str(Path(settings.GR_VAR) / "scratch"),
        live_version=target.live_version,
    )
    argv = [sys.executable, "-m", "rollout.steps.backup", str(folder)]
    try:
        with runner.lock(commands.lock_path(target)) as lock:
            intent.write(folder)
            lock.start(folder, argv, cwd=commands.HOME, env=commands.environment(), timeout_s=TIMEOUT_S)
    except runner.BusyError:
        raise Refused(f"A step is running on {target}; try again when it has ended.")
    outcome = _await(folder, target, say)
    if not outcome.ok:
        raise Refused(f"No backup was taken: {outcome.sentence}")
    return register(target, outcome.facts, by=by, now=now)


def register(target: Target, facts: Mapping[str, Any], *, by: Actor, now: datetime, run: Run | None = None) -> Backup:
    """Keep what a backup step told of a verified archive as a row."""
    with audit.turn():
        backup = Backup.objects.create(
            target=target,
            run=run,
            kind=facts["kind"],
            path=facts["path"],
            sha256=facts["sha256"],
            size=facts["size"],
            members=facts["members"],
            rows=facts["rows"],
            release_version=facts["release_version"],
            created_at=now,
            verified_at=now,
        )
        data = {"path": str(backup), "sha256": backup.sha256, "size": backup.size, "kind": backup.kind}
        data |= {"run": run.pk if run else None, "release": backup.release_version}
        audit.append(action=told.TAKEN, by=by, subject=transitions.subject_of(target), data=data, now=now)
    return backup


def examine(target: Target, path: Path, *, now: datetime) -> Backup:
    """Read a backup file whole and return its row, a new and unsaved one when nobody registered it yet.

    Raises BackupError when it is corrupt or another environment's, Refused when it is not what was registered.
    """
    contents = reader.verify(
        path,
        sha256=None,
        component=target.component.name,
        environment=target.environment.name,
        progress=reader.quiet,
    )
    known = Backup.objects.filter(path=str(path.resolve())).first()
    if known is not None:
        if known.sha256 != contents.sha256:
            raise Refused(
                f"{path.name} has sha256 {contents.sha256}, but was taken with {known.sha256}; use another backup."
            )
        return known
    return Backup(
        target=target,
        kind=contents.kind,
        path=str(path.resolve()),
        sha256=contents.sha256,
        size=contents.size,
        members=len(contents.members),
        rows={database: dict(tables) for database, tables in contents.rows.items()},
        release_version=contents.release,
        created_at=now,
        verified_at=now,
    )


def adopt(backup: Backup, *, by: Actor, now: datetime) -> Backup:
    """Save the row of an examined backup that was not registered yet; one whose file was put back is whole again."""
    if backup.removed_at is not None:
        missing.set_found(backup, "", now=now)
    if backup.pk is None:
        with audit.turn():
            backup.save()
            data = {"path": str(backup), "sha256": backup.sha256, "size": backup.size}
            audit.append(
                action="backup.registered", by=by, subject=transitions.subject_of(backup.target), data=data, now=now
            )
    return backup


def _await(folder: Path, target: Target, say: Callable[[str], None]) -> Outcome:
    """Wait for the runner, passing on what the step prints."""
    shown = 0
    while True:
        held = runner.is_held(commands.lock_path(target))  # asked first: exit.json is written before the unlock
        ended = runner.read_exit(folder)
        shown = _pass_on(folder / OUTPUT, shown, say)
        if ended is not None:
            how = "was ended for a rollback" if ended.get("cancelled") else f"ended with exit code {ended.get('code')}"
            broken = Outcome(result="errored", sentence=f"the backup step {how}")
            return Outcome.read(folder) or broken
        if not held:
            return Outcome(result="errored", sentence="the runner of the backup step was lost")
        time.sleep(LOOK_S)


def _pass_on(output: Path, shown: int, say: Callable[[str], None]) -> int:
    if not output.exists():
        return shown
    text = output.read_text(errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    for line in lines[shown:]:
        say(line)
    return len(lines)
