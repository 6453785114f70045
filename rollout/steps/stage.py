"""Puts the release beside the live one; what is served does not change."""

from pathlib import Path

from rollout.drivers import DRIVERS
from rollout.intent import Intent, Outcome
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Unpack the signed archive into its release directory."""
    release_dir = intent.params["release_dir"]
    DRIVERS[intent.target.driver].stage(intent.target, Path(intent.archive), release_dir, log=frame.log)
    return Outcome(result="ok", sentence=f"staged as {release_dir}")


if __name__ == "__main__":
    main(run)
