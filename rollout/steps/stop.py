"""Stops everything that writes, so that what is saved and restored next holds still."""

from rollout.drivers import DRIVERS
from rollout.intent import Intent, Outcome
from rollout.steps import health, scratch
from rollout.steps.frame import Frame, StepFailed, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Run the stop command, and see that nothing answers any more."""
    target = intent.target
    place = scratch.Place(target=target, release_dir=DRIVERS[target.driver].live(target), log=frame.log)
    place.command("stop", timeout_s=90)
    if not health.check(target):
        raise StepFailed(f"{target.name} still answers after stop; something else serves its port")
    return Outcome(result="ok", sentence="the service is stopped")


if __name__ == "__main__":
    main(run)
