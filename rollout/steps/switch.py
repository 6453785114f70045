"""Makes the staged release the live one: symlink swap, then a graceful reload."""

from rollout.drivers import DRIVERS
from rollout.intent import Intent, Outcome
from rollout.steps import health, scratch
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Swap `current`, reload, and see the service answer."""
    target, release_dir = intent.target, intent.params["release_dir"]
    DRIVERS[target.driver].switch(target, release_dir, log=frame.log)
    place = scratch.Place(target=target, release_dir=release_dir, log=frame.log)
    place.command("reload", timeout_s=90)
    health.require_consecutive(target, frame, patience_s=30)
    return Outcome(result="ok", sentence=f"{place.version} is live", facts={"live_version": place.version})


if __name__ == "__main__":
    main(run)
