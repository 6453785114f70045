"""Checks, before anything else, that the target is well, that it runs what we think, and that there is room."""

import shutil

from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.intent import Intent, Outcome
from rollout.steps import health
from rollout.steps.frame import Frame, StepFailed, main, require_archive, require_evidence


def run(intent: Intent, frame: Frame) -> Outcome:
    """Check health, live release, free space, and the bytes of the archive."""
    target = intent.target
    health.require(target, frame)
    live = DRIVERS[target.driver].live(target)
    _require_live(intent, live)
    free = shutil.disk_usage(target.root).free
    frame.log(f"free under {target.root}: {free} bytes (at least {target.minimum_free_bytes} wanted)")
    if free < target.minimum_free_bytes:
        raise StepFailed(f"only {free} bytes are free under {target.root}; {target.minimum_free_bytes} are wanted")
    require_archive(intent, frame)
    require_evidence(intent, frame)
    return Outcome(
        result="ok",
        sentence=f"{target.name} is well and runs {version_of(live)}",
        facts={"live_version": version_of(live), "live_dir": live, "free_bytes": free},
    )


def _require_live(intent: Intent, live: str) -> None:
    if not live:
        raise StepFailed(f"{intent.target.root}/current is not a link to a release directory")
    if intent.live_version and version_of(live) != intent.live_version:
        raise StepFailed(
            f"{intent.target.name} runs {version_of(live)}, but {intent.live_version} was expected: "
            "somebody deployed past this system. Load the component again to accept what is live."
        )


if __name__ == "__main__":
    main(run)
