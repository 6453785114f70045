"""Asks the target how a step stands that nobody saw end; changes nothing."""

from rollout.drivers import DRIVERS
from rollout.intent import Intent, Outcome
from rollout.steps.frame import Frame, main


def run(intent: Intent, frame: Frame) -> Outcome:
    """Ask the driver, and hand on what it says; "unknown" is an answer too."""
    answer = DRIVERS[intent.target.driver].probe(intent.target, intent.step_kind, intent.params)
    facts = {"answer": answer.answer, "live": answer.live}
    frame.log(f"{answer.answer}: {answer.sentence}")
    return Outcome(result="ok", sentence=answer.sentence, facts=facts)


if __name__ == "__main__":
    main(run)
