"""What the audit tells of attempts at what changes a target, beside what the rows of the steps say."""

from collections import Counter

from monitoring import audit_told
from rollout import borne, opening
from rollout.models import Run, Step
from rollout.states import StepState as S


def changed_nothing(run: Run) -> bool:
    """Say whether neither audit nor rows tell of an attempt at a step of this deploy that changes the target."""
    return not begun(run).total() and not opening.has_effects(run.rollout)


def hides_an_attempt(run: Run) -> bool:
    """Say whether a step that changes the target was begun more often than its row shows."""
    told = begun(run)
    return any(told[str(step.pk)] > step.attempt for step in run.steps.filter(effect=True))


def makes_up_an_attempt(run: Run) -> str:
    """Return why nothing is undone though rows tell of attempts at what changes the target; empty when it may be."""
    tried = Step.objects.filter(run__rollout=run.rollout_id, run__kind=Run.Kind.DEPLOY, effect=True, attempt__gt=0)
    told = begun(run)
    made_up = next((step for step in tried if told[str(step.pk)] < step.attempt), None)
    if made_up is None:
        return ""
    return f"no entry of the audit tells of attempt {made_up.attempt} at {made_up.title}{borne.EDITED}"


def begun(run: Run) -> Counter[str]:
    """Return how often each step of a rollout's deploys that changes the target was begun, as the audit tells."""
    steps = Step.objects.filter(run__rollout=run.rollout_id, run__kind=Run.Kind.DEPLOY, effect=True)
    entries = audit_told.about("step", steps.values_list("pk", flat=True))[0]
    return Counter(one["subject"]["id"] for one in entries if one["new"] == S.RUNNING)
