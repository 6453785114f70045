"""Dry runs on a copy of the target: the whole deploy with traffic of its own, or the migration alone."""

import time
from pathlib import Path

from rollout.archive import dump
from rollout.archive.release import inspect_release
from rollout.intent import Intent, Outcome
from rollout.steps import scratch
from rollout.steps.frame import EvidenceLog, Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Do what the intent's `what` names, and keep its log as evidence."""
    return {"deploy": _deploy, "migrate": _migrate}[intent.params["what"]](intent, frame)


def _deploy(intent: Intent, frame: Frame) -> Outcome:
    log = EvidenceLog(frame, _heading("deploy dry run", intent))
    begun = time.monotonic()
    with scratch.restored(intent, log) as place:
        log(f"files of the release: {len(inspect_release(Path(intent.archive)).members)}")
        frame.progress(30)
        with scratch.started(scratch.upgraded(place, intent)) as new:
            frame.progress(60)
            if "traffic" in new.target.commands:
                new.command("traffic", timeout_s=120)
    log(f"deploy dry run ended well after {time.monotonic() - begun:.1f} s; the target was not touched")
    return Outcome(
        result="ok",
        sentence=f"{intent.params['version']} staged, migrated, started and under traffic on a copy",
        facts={"seconds": str(round(time.monotonic() - begun, 3))},
        evidence={"deploy_dryrun": log.keep("deploy-dryrun.log")},
    )


def _migrate(intent: Intent, frame: Frame) -> Outcome:
    log = EvidenceLog(frame, _heading("migration dry run on a copy of the database", intent))
    with scratch.restored(intent, log) as place:
        before = _counts(place)
        known = _migrations(place)
        begun = time.monotonic()
        new = scratch.upgraded(place, intent)
        seconds = time.monotonic() - begun
        after = _counts(new)
        pending = [name for name in _migrations(new) if name not in known]
    log(f"migrations that the release adds: {', '.join(pending) or 'none'}")
    for database, tables in after.items():
        for table, delta in dump.changes(before.get(database, {}), tables).items():
            log(f"{database} {table}: {delta:+d} rows")
    log(f"migrated the copy in {seconds:.2f} s; the live database was not touched")
    return Outcome(
        result="ok",
        sentence=f"{len(pending)} migration(s) applied to a copy in {seconds:.2f} s",
        facts={"migrations": pending, "seconds": str(round(seconds, 3))},
        evidence={"migrate_dryrun": log.keep("migrate-dryrun.log")},
    )


def _heading(what: str, intent: Intent) -> str:
    return f"{what}: {intent.target.name} {intent.params['version']} on backup {Path(intent.backup).name}"


def _counts(place: scratch.Place) -> dict[str, dict[str, int]]:
    return {name: dump.row_counts(place.target.root_path / name) for name in place.target.sqlite}


def _migrations(place: scratch.Place) -> list[str]:
    folder = place.target.root_path / place.release_dir / "migrations"
    return sorted(file.name for file in folder.glob("*.sql"))


if __name__ == "__main__":
    main(run)
