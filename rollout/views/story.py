"""What the rollout page says first: what happens now, who must do what, and where on its way it stands; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollout.states import RolloutState as R


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the sentences are made of."""

    state: str
    version: str
    previous: str
    place: str
    state_why: str = ""
    missing_evidence: tuple[str, ...] = ()
    monitoring_accepted: bool = False
    missing_seats: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()  # "Ann (approver)"
    starters: tuple[str, ...] = ()
    impossible: str = ""
    step: str = ""
    step_number: int = 0
    steps_total: int = 0
    changed: bool = False  # something on the target was, or may have been, changed
    needs_decision: str = ""
    abort_requested: bool = False
    queued_behind: str = ""
    watch_reason: str = ""
    verdict: str = ""
    can_roll_back: bool = False
    rollback_blocked: str = ""
    locked: bool = False


@dataclass(frozen=True, kw_only=True)
class NextAction:
    """One sentence for what happens now, and one or two for who must do what."""

    lead: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One mark of the rail: done, current (then `look` is the state that it shows) or ahead."""

    label: str
    state: str
    look: str = ""


WAY = ("Draft", "Validate", "Sign-off", "Deploy", "Watch", "Done")
BACK = ("Draft", "Validate", "Sign-off", "Deploy", "Roll back", "Restored")
PLACE = {
    R.DRAFT: 0,
    R.VALIDATING: 1,
    R.WAITING: 2,
    R.REJECTED: 2,
    R.EXPIRED: 2,
    R.APPROVED: 3,
    R.QUEUED: 3,
    R.RUNNING: 3,
    R.FAILED: 3,
    R.UNKNOWN: 3,
    R.WATCHING: 4,
    R.SUCCEEDED: 5,
    R.ROLLING_BACK: 4,
    R.ROLLED_BACK: 5,
    R.ROLLED_BACK_UNHEALTHY: 5,
    R.NOT_RESTORED: 5,
}
WENT_BACK = frozenset({R.ROLLING_BACK, R.ROLLED_BACK, R.ROLLED_BACK_UNHEALTHY, R.NOT_RESTORED})


def stages(state: str, *, needs_decision: bool = False, signed: bool = False, deployed: bool = False) -> list[Stage]:
    """Return the rail; `signed` and `deployed` say how far one came that was cancelled or superseded."""
    labels = BACK if state in WENT_BACK else WAY
    if state == R.NOT_RESTORED:
        labels = (*BACK[:-1], "Not restored")
    here = PLACE.get(R(state), 3 if deployed else 2 if signed else 0)
    look = "NEEDS_DECISION" if needs_decision and state == R.WATCHING else str(state)
    marks = ("done", "current", "ahead")
    return [
        Stage(
            label=label,
            state=marks[0] if number < here else marks[1] if number == here else marks[2],
            look=look if number == here else "",
        )
        for number, label in enumerate(labels)
    ]


def next_action(facts: Facts) -> NextAction:
    """Say in one sentence what happens now, and who must do what."""
    if facts.needs_decision and facts.state == R.WATCHING:
        return NextAction(
            lead=f"A person has to decide whether {facts.version} stays on {facts.place}.",
            detail=f"{facts.needs_decision} An operator, Ops or triage accepts it with a reason, or rolls back.",
        )
    return SAYINGS[R(facts.state)](facts)


def listed(names: Sequence[str], *, most: int = 4, word: str = "and") -> str:
    """Return names as a sentence writes them: "a, b and c", "a, b and 3 more"."""
    names = list(names)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
        word = "and"
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)


def _draft(facts: Facts) -> NextAction:
    came_back = f"It came back: {facts.state_why}" if facts.state_why else ""
    if facts.missing_evidence:
        return NextAction(lead=f"Still to be brought: {listed(facts.missing_evidence)}.", detail=came_back)
    if not facts.monitoring_accepted:
        lead = "Accept the monitoring defaults, or tune them; then it can be submitted."
        return NextAction(lead=lead, detail=came_back)
    lead = "Everything that people bring is there: submit it."
    detail = f"The validate run then proves it on {facts.place} without changing anything, and makes the rest."
    return NextAction(lead=lead, detail=f"{came_back} {detail}".strip())


def _validating(facts: Facts) -> NextAction:
    return NextAction(
        lead=f"Being proved on {facts.place}, without changing it{_at_step(facts)}.",
        detail=_aborting(facts) or "Nobody has to do anything; approvers are told when their decision is asked.",
    )


def _waiting(facts: Facts) -> NextAction:
    if facts.impossible:
        return NextAction(lead="These sign-offs can no longer be completed.", detail=f"{facts.impossible}.")
    count = len(facts.missing_seats)
    lead = f"{count} signature{'s are' if count != 1 else ' is'} missing: {listed(facts.missing_seats)}."
    who = f"Can still sign: {listed(facts.helpers, most=6, word='or')}. " if facts.helpers else ""
    return NextAction(lead=lead, detail=f"{who}Nothing is deployed before all are there.")


def _approved(facts: Facts) -> NextAction:
    who = listed(facts.starters, word="or") or "Nobody here"
    return NextAction(
        lead="All signatures are there: a deploy operator may start it.",
        detail=f"{who} can start. Every signature is checked again at that moment.",
    )


def _queued(facts: Facts) -> NextAction:
    return NextAction(
        lead=f"Started; it waits until {facts.place} is free.",
        detail=_aborting(facts) or facts.queued_behind or "It goes on by itself.",
    )


def _running(facts: Facts) -> NextAction:
    safe = "The target has been changed: an abort rolls it back." if facts.changed else ""
    safe = safe or "Nothing on the target has been changed yet: an abort leaves it as it was."
    return NextAction(
        lead=f"Deploying {facts.version} to {facts.place}{_at_step(facts)}.", detail=_aborting(facts) or safe
    )


def _watching(facts: Facts) -> NextAction:
    verdict = facts.watch_reason or "The first look is due at once."
    return NextAction(
        lead=f"{facts.version} is live on {facts.place} and being watched.",
        detail=_aborting(facts) or f"{verdict} Nobody has to do anything: a breach rolls it back by itself.",
    )


def _succeeded(facts: Facts) -> NextAction:
    return NextAction(
        lead=f"{facts.version} is live on {facts.place}; it was watched to the end.",
        detail=facts.rollback_blocked or "Nothing is left to do. It can still be rolled back while its backup exists.",
    )


def _rolling_back(facts: Facts) -> NextAction:
    return NextAction(
        lead=f"Going back to {facts.previous} on {facts.place}{_at_step(facts)}.",
        detail=f"Why: {facts.state_why}" if facts.state_why else "",
    )


def _rolled_back(facts: Facts) -> NextAction:
    locked = "It stays locked until a person has understood why and unlocks it." if facts.locked else ""
    return NextAction(
        lead=f"{facts.place} is back on {facts.previous}, proved file by file, and healthy.",
        detail=f"Why: {facts.state_why.rstrip('.')}. {locked}".strip(),
    )


def _unhealthy(facts: Facts) -> NextAction:
    return NextAction(
        lead=f"{facts.place} was restored to {facts.previous}, but the service is not well. Look at it now.",
        detail=facts.state_why,
    )


def _not_restored(facts: Facts) -> NextAction:
    lead = f"P0: {facts.place} was not restored. Follow the rollback runbook, or roll back again."
    return NextAction(lead=lead, detail=facts.state_why)


def _unknown(facts: Facts) -> NextAction:
    why = ""
    safe = " Rolling back is safe: it restores and proves every file." if facts.can_roll_back else ""
    lead = f"“{facts.step}” was started on {facts.place}, and nobody saw how it ended."
    if not facts.step or facts.state_why.endswith("the database was edited"):
        lead = f"Stopped on {facts.place}: the database does not say what the audit, or its anchor file, tells."
        why = f"{facts.state_why.rstrip('.')}. Find out who wrote there, and look at what is live. "
    until = "a person decides below" if facts.step else "a person puts it right by hand, and says so"
    return NextAction(lead=lead, detail=f"{why}Nothing goes on or is deployed there until {until}.{safe}")


def _ended(what: str) -> Callable[[Facts], NextAction]:
    return lambda facts: NextAction(lead=what.format(place=facts.place), detail=facts.state_why)


def _at_step(facts: Facts) -> str:
    return f": step {facts.step_number} of {facts.steps_total}, {facts.step}" if facts.step else ""


def _aborting(facts: Facts) -> str:
    return "An abort was asked for; the command that runs is told to stop." if facts.abort_requested else ""


SAYINGS: dict[R, Callable[[Facts], NextAction]] = {
    R.DRAFT: _draft,
    R.VALIDATING: _validating,
    R.WAITING: _waiting,
    R.APPROVED: _approved,
    R.QUEUED: _queued,
    R.RUNNING: _running,
    R.WATCHING: _watching,
    R.SUCCEEDED: _succeeded,
    R.ROLLING_BACK: _rolling_back,
    R.ROLLED_BACK: _rolled_back,
    R.ROLLED_BACK_UNHEALTHY: _unhealthy,
    R.NOT_RESTORED: _not_restored,
    R.UNKNOWN: _unknown,
    R.REJECTED: _ended("Rejected. Nothing was changed on {place}; a new rollout can be made."),
    R.EXPIRED: _ended("Expired. Nothing was changed on {place}; a new rollout can be made."),
    R.SUPERSEDED: _ended("A newer rollout took its place. Nothing was changed on {place}."),
    R.CANCELLED: _ended("Cancelled. Nothing was changed on {place}."),
    R.FAILED: _ended("Failed before anything was changed: {place} is as it was."),
}
