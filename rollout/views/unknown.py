"""A step whose end nobody saw, told to somebody woken at night: what is known, what the target answers, what follows.

`deciding` asks everything again in the transaction that acts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from approvals import people
from approvals.rules import Member
from rollout import access, commands, deciding, probing, runbook_ticks
from rollout.models import Run, Runbook, Step
from rollout.runbook_ticks import Box
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.views import live
from rollout.views.story import listed

TAIL_BYTES = 4 * 1024
RUNBOOK = "incident"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the target said when it was last asked."""

    key: str
    tone: str
    icon: str
    lead: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the three decisions: what it means, what will follow, what happens if it is wrong."""

    name: str
    icon: str
    title: str
    follows: str
    wrong: str
    agrees: bool = False  # the target answers the same
    blocked: str = ""  # why it cannot be decided now


@dataclass(frozen=True, kw_only=True)
class Again:
    """Somebody's wish to try the step again, which a second person has to confirm."""

    by: str
    why: str
    at: datetime
    until: datetime
    mine: bool
    others: str


@dataclass(frozen=True, kw_only=True)
class Manual:
    """The component's incident runbook, with its boxes as they are ticked for this rollout."""

    slug: str
    title: str
    boxes: tuple[Box, ...]

    @property
    def done(self) -> int:
        """Return how many boxes are ticked."""
        return sum(box.done for box in self.boxes)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """The card of a rollout that stands in UNKNOWN."""

    run: Run
    step: Step
    steps: int
    what: str
    why: str
    argv: tuple[str, ...]
    answer: Answer
    tail: str
    truncated: bool
    choices: tuple[Choice, ...]
    again: Again | None
    manual: Manual | None

    @property
    def held(self) -> bool:
        """Say whether a command still held the target when it was last looked at."""
        return bool(self.run.probe.get("held"))


ANSWERS = {
    "held": Answer(key="held", tone="warn", icon="loader", lead="Something may be at work right now."),
    "done": Answer(key="done", tone="info", icon="eye", lead="The target looks as if it was done."),
    "not_done": Answer(key="not_done", tone="info", icon="eye", lead="The target looks as if it was not done."),
    "unknown": Answer(
        key="unknown", tone="warn", icon="circle-question-mark", lead="The target cannot tell. A person has to look."
    ),
    "": Answer(key="", tone="neutral", icon="clock", lead="The target has not answered yet."),
}
# kind of a step -> what its command was about to do, and the component's command that it runs
WORK = {
    "stage": ("put {version} beside the live release", ""),
    "migrate": ("run the migrations of {version} on the live database", "migrate"),
    "switch": ("make {version} the live release, and reload the service", "reload"),
    "stop": ("stop the service", "stop"),
    "restore": ("put code, database and configuration back as the backup holds them", ""),
    "start": ("start the service again", "start"),
}


def unknown(runs: Sequence[Run], *, members: Sequence[Member], user_id: int, now: datetime) -> Unknown | None:
    """Return the card of the run that stands in UNKNOWN, or None where none does."""
    run = next((run for run in reversed(runs) if run.state == N.UNKNOWN), None)
    step = next((step for step in run.steps.all() if step.state == S.UNKNOWN), None) if run else None
    if run is None or step is None:
        return None
    what, command = WORK.get(step.kind, (step.title, ""))
    again = again_of(run, members=members, user_id=user_id, now=now)
    tail, truncated = live.tail_of(step, limit=TAIL_BYTES)
    return Unknown(
        run=run,
        step=step,
        steps=len(run.steps.all()),
        what=what.format(version=step.params.get("version", "the release")),
        why=run.rollout.state_why.removeprefix(f"{step.title}: ") or "Nobody saw how it ended.",
        argv=tuple(commands.spec_of(run).commands.get(command, ())),
        answer=answer_of(run.probe),
        tail=tail,
        truncated=truncated,
        choices=_choices(run, step, again, changed=_is_changed(run, step)),
        again=again,
        manual=_manual(run),
    )


def answer_of(probe: Mapping[str, Any]) -> Answer:
    """Return what a probe said, in plain words."""
    key = "held" if probe.get("held") else str(probe.get("answer", ""))
    return ANSWERS.get(key, ANSWERS["unknown"])


def again_of(run: Run, *, members: Sequence[Member], user_id: int, now: datetime) -> Again | None:
    """Return the request to try again that still waits for a second person, or None."""
    asked = run.again_by
    if asked is None or run.again_at is None or not timedelta(0) <= now - run.again_at <= deciding.AGAIN_WITHIN:
        return None
    able = [one.name for one in members if one.roles & access.STOPPERS and one.user_id not in (asked.pk, user_id)]
    return Again(
        by=people.printed_name(asked),
        why=run.again_why,
        at=run.again_at,
        until=run.again_at + deciding.AGAIN_WITHIN,
        mine=asked.pk == user_id,
        others=listed(able, most=5, word="or"),
    )


def _manual(run: Run) -> Manual | None:
    book = Runbook.objects.filter(component=run.rollout.target.component, slug=RUNBOOK, current=True).first()
    if book is None:
        return None
    text = runbook_ticks.filled(book, run.rollout)
    boxes = runbook_ticks.boxes(book, run.rollout, text)
    return Manual(slug=book.slug, title=text.title or book.title, boxes=tuple(boxes.values()))


def _choices(run: Run, step: Step, again: Again | None, *, changed: bool) -> tuple[Choice, ...]:
    place = run.rollout.target.environment.name
    held = "A command still holds the target: wait until it has ended." if run.probe.get("held") else ""
    unseen = probing.unseen(run)
    mine = "You asked for it; another person has to confirm." if again and again.mine else ""
    says = str(run.probe.get("answer", "")) if not held else ""
    return (
        Choice(
            name="done",
            icon="circle-check",
            title="It was done",
            follows=_after_done(run),
            wrong="If it was not done after all, the steps that follow rest on nothing.",
            agrees=says == "done",
            blocked=held
            or unseen
            or ("The target says that it was not done: ask it again." if says == "not_done" else ""),
        ),
        Choice(
            name="not_done",
            icon="circle-x",
            title="It was not done",
            follows=_after_not_done(run, place, changed=changed),
            wrong=_wrong_not_done(run, place, changed=changed),
            agrees=says == "not_done",
            blocked=held,
        ),
        Choice(
            name="try_again",
            icon="refresh-cw",
            title="Try again",
            follows=f"The command is started a second time, as attempt {step.attempt + 1}, once a second person "
            "confirms within an hour.",
            wrong="If it was done after all, it is done twice.",
            blocked=held or unseen or mine,
        ),
    )


def _after_done(run: Run) -> str:
    following = next((one for one in run.steps.all() if one.state == S.PENDING), None)
    if following is None:
        return f"It was the last step: the {run.kind} ends as succeeded."
    return f"The {run.kind} goes on at once with step {following.number}, “{following.title}”."


def _after_not_done(run: Run, place: str, *, changed: bool) -> str:
    if run.kind == Run.Kind.ROLLBACK:
        return f"The rollback ends as failed and {place} counts as not restored (P0). You can then roll back again."
    if changed:
        return f"An earlier step did change {place}, so it is rolled back by itself."
    return f"The rollout ends as failed. Nothing is restored, and {place} is free for the next one."


def _wrong_not_done(run: Run, place: str, *, changed: bool) -> str:
    if run.kind == Run.Kind.ROLLBACK or changed:
        return "If it was done after all, the rollback undoes it too."
    return f"If it was done after all, the change stays on {place}, and nobody watches it."


def _is_changed(run: Run, step: Step) -> bool:
    """Say whether the run changed the target even if the unknown attempt did not happen."""
    assumed = 0 if probing.unseen(run) else 1
    return any(one.possible_effects > (assumed if one.pk == step.pk else 0) for one in run.steps.all())
