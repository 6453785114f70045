"""Proves things around a restore: the backup is whole, the disk equals it, the service is well."""

from pathlib import Path

from rollout.archive import proof, reader
from rollout.archive.spec import Contents
from rollout.intent import Intent, Outcome
from rollout.steps import health
from rollout.steps.frame import EvidenceLog, Frame, StepFailed, main

PATIENCE_S = 60


def run(intent: Intent, frame: Frame) -> Outcome:
    """Do what the intent's `what` names."""
    return {"backup": _backup, "restored": _restored, "health": _health}[intent.params["what"]](intent, frame)


def _contents(intent: Intent, frame: Frame) -> Contents:
    return reader.verify(
        Path(intent.backup),
        sha256=intent.backup_sha256,
        component=intent.target.component,
        environment=intent.target.environment,
        progress=frame.progress,
    )


def _backup(intent: Intent, frame: Frame) -> Outcome:
    contents = _contents(intent, frame)
    return Outcome(
        result="ok",
        sentence=f"{contents.path.name} is whole: {len(contents.members)} members of release {contents.release}",
        facts={"release_version": contents.release},
    )


def _restored(intent: Intent, frame: Frame) -> Outcome:
    log = EvidenceLog(frame, f"proof that {intent.target.name} equals {Path(intent.backup).name}")
    seen = proof.prove(
        _contents(intent, frame),
        intent.target.root_path,
        intent.target.database == "keep",
        postgresql=intent.target.postgresql,
    )
    for one in seen.files:
        log(f"{'equal' if one.equal else 'DIFFERS'} {one.path} {one.found}")
    kept = log.keep("restore-proof.log")
    if not seen.equal:
        raise StepFailed(f"{len(seen.differences)} file(s) differ from the backup; the service stays stopped")
    return Outcome(
        result="ok",
        sentence=f"{len(seen.files)} files equal to the backup by sha256, before the start",
        facts={"files": len(seen.files), "equal": True},
        evidence={"restore_proof": kept},
    )


def _health(intent: Intent, frame: Frame) -> Outcome:
    health.require_consecutive(intent.target, frame, patience_s=PATIENCE_S)
    return Outcome(result="ok", sentence=f"{health.CONSECUTIVE} consecutive health checks OK")


if __name__ == "__main__":
    main(run)
