"""Applies the staged release's migrations to the live database."""

from rollout.intent import Intent, Outcome
from rollout.steps import scratch
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Run the component's own migrate command in the staged release directory."""
    place = scratch.Place(target=intent.target, release_dir=intent.params["release_dir"], log=frame.log)
    done = place.command("migrate", timeout_s=840)
    return Outcome(result="ok", sentence=f"migrated: {done.last_line}")


if __name__ == "__main__":
    main(run)
