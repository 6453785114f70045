"""The restore drill: the backup put back in a scratch place and started there against the smoke tests, timed."""

import time

from rollout.intent import Intent, Outcome
from rollout.steps import scratch
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Restore, start, smoke-test, stop; a backup that cannot do this is no backup."""
    begun = time.monotonic()
    with scratch.restored(intent, frame.log) as place:
        restored_s = time.monotonic() - begun
        frame.progress(40)
        with scratch.started(place):
            frame.progress(70)
            place.command("smoke")
    seconds = round(time.monotonic() - begun, 3)
    return Outcome(
        result="ok",
        sentence=f"restored in {restored_s:.1f} s, answering and smoke-tested after {seconds:.1f} s",
        facts={"rehearsal_s": str(seconds), "restored_s": str(round(restored_s, 3))},
    )


if __name__ == "__main__":
    main(run)
