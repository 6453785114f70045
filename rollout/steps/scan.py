"""Scans the release archive for committed webhooks and keys; a hit blocks."""

from pathlib import Path

from rollout import scan
from rollout.intent import Intent, Outcome
from rollout.steps.frame import EvidenceLog, Frame, StepFailed, main

LIMIT_BYTES = 2 * 1024**3


def run(intent: Intent, frame: Frame) -> Outcome:
    """Scan every text file of the archive; findings name file, line and kind, never the secret."""
    log = EvidenceLog(frame, f"secret scan of release archive sha256 {intent.archive_sha256}")
    findings = scan.scan_archive(Path(intent.archive), limit_bytes=LIMIT_BYTES)
    for finding in findings:
        log(f"{finding.path}:{finding.line}: {finding.kind}")
    secrets = [finding for finding in findings if finding.kind != scan.UNSCANNABLE]
    if findings and not secrets:
        raise StepFailed(
            f"{findings[0].path} is an archive that cannot be scanned: it is broken, encrypted, too large, or holds "
            "archives itself. Unpack it in the release, or leave it out."
        )
    if secrets:
        first = secrets[0]
        raise StepFailed(
            f"{len(secrets)} committed secret(s), the first a {first.kind} in {first.path} line {first.line}. "
            "Take it out of the release, and change the secret: it has been seen."
        )
    log("no committed webhook or key found")
    return Outcome(
        result="ok", sentence="no committed webhook or key found", evidence={"secret_scan": log.keep("secret-scan.log")}
    )


if __name__ == "__main__":
    main(run)
