"""Runs a check that the component declares (smoke tests, log format, golden set), live or on a rehearsed release."""

from rollout.drivers import DRIVERS
from rollout.drivers.base import Log
from rollout.intent import Intent, Outcome
from rollout.steps import scratch
from rollout.steps.frame import EvidenceLog, Frame, StepFailed, main

EVIDENCE = {
    "smoke": ("postdeploy_smoketests", "postdeploy-smoketests.log"),
    "logging": ("test_logging", "test_logging.log"),
    "golden": ("golden", "golden.log"),
}


def run(intent: Intent, frame: Frame) -> Outcome:
    """Run the command and keep what it printed as evidence."""
    command, place = intent.params["command"], intent.params["on"]
    kind, name = EVIDENCE[command]
    log = EvidenceLog(frame, f"{command}: {intent.target.name} {intent.params['version']} ({place})")
    if place == "live":
        _live(intent, log).command(command)
    else:
        with scratch.restored(intent, log) as copy, scratch.started(scratch.upgraded(copy, intent)) as new:
            frame.progress(60)
            new.command(command)
    return Outcome(result="ok", sentence=f"{command} passed ({place})", evidence={kind: log.keep(name)})


def _live(intent: Intent, log: Log) -> scratch.Place:
    place = scratch.Place(target=intent.target, release_dir=DRIVERS[intent.target.driver].live(intent.target), log=log)
    if place.version != intent.params["version"]:
        raise StepFailed(f"{place.version} is live, but {intent.params['version']} was to be checked")
    return place


if __name__ == "__main__":
    main(run)
