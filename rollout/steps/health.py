"""Asks a target whether it is well; shared by the steps that need to know."""

import time

from monitoring import http
from rollout.steps.frame import Frame, StepFailed
from rollout.target import TargetSpec

CONSECUTIVE = 3
PAUSE_S = 1.0


def check(target: TargetSpec) -> str:
    """Return "" when the health URL answers 200 in time, otherwise what it did instead."""
    try:
        url = target.base_url + target.health_path
        answer = http.fetch(url, timeout_s=float(target.health_timeout_s), allow=None)
    except http.HttpError as error:
        return str(error)
    return "" if answer.status == 200 else f"answered {answer.status}"


def require(target: TargetSpec, frame: Frame) -> None:
    """Raise StepFailed unless the target is well now."""
    problem = check(target)
    frame.log(f"health {target.base_url}{target.health_path}: {problem or 'OK'}")
    if problem:
        raise StepFailed(f"{target.name} is not well: {problem}. Nothing was changed; look at the service first.")


def require_consecutive(target: TargetSpec, frame: Frame, *, patience_s: float) -> None:
    """Raise StepFailed unless three checks in a row are OK within `patience_s` seconds."""
    deadline, row = time.monotonic() + patience_s, 0
    while row < CONSECUTIVE:
        problem = check(target)
        row = 0 if problem else row + 1
        frame.log(f"health check: {problem or 'OK'} ({row} of {CONSECUTIVE} in a row)")
        frame.progress(row * 100 // CONSECUTIVE)
        if problem and time.monotonic() > deadline:
            raise StepFailed(
                f"{target.name} did not answer {CONSECUTIVE} checks in a row within {patience_s:.0f} s: {problem}"
            )
        if row < CONSECUTIVE:
            time.sleep(PAUSE_S)
