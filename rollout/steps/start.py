"""Starts the restored release."""

from rollout.drivers import DRIVERS
from rollout.intent import Intent, Outcome
from rollout.steps import scratch
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Run the start command in the live release directory."""
    target = intent.target
    place = scratch.Place(target=target, release_dir=DRIVERS[target.driver].live(target), log=frame.log)
    place.command("start", timeout_s=90)
    return Outcome(result="ok", sentence=f"{place.version} was started", facts={"live_version": place.version})


if __name__ == "__main__":
    main(run)
