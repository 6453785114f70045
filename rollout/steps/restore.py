"""Restores code, database and configuration from the verified backup; the service is stopped."""

from pathlib import Path

from rollout.archive import restore
from rollout.intent import Intent, Outcome
from rollout.steps.frame import EvidenceLog, Frame, StepFailed, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Put every file of the backup back and prove each by its sha256."""
    target = intent.target
    log = EvidenceLog(frame, f"restore of {target.name} from {Path(intent.backup).name} sha256 {intent.backup_sha256}")
    proof = restore.restore(
        Path(intent.backup),
        sha256=intent.backup_sha256,
        component=target.component,
        environment=target.environment,
        root=target.root_path,
        keep_database=target.database == "keep",
        log=log,
        progress=frame.progress,
        postgresql=target.postgresql,
    )
    for one in proof.files:
        log(f"{'equal' if one.equal else 'DIFFERS'} {one.path} expected {one.expected} found {one.found}")
    log.keep("restore.log")
    if not proof.equal:
        raise StepFailed(f"{len(proof.differences)} file(s) differ from the backup; the service was not started")
    return Outcome(
        result="ok",
        sentence=f"{len(proof.files)} files restored, each equal to the backup by sha256",
        facts={"files": len(proof.files)},
        evidence={"restore_log": "restore.log"},
    )


if __name__ == "__main__":
    main(run)
