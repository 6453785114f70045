"""Whether a run, its rollout and its steps stand as the audit tells of them.

What a run records of a step, and how it ends, goes by rows. So these are compared first, also while a command is at
work: which steps there are, in which order, how far each of them is, and how often it was begun.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any

from django.db.models import Q

from approvals import proven
from monitoring import anchors, audit, audit_told
from monitoring.models import AuditEntry
from rollout import opened, states
from rollout.models import Run, Step
from rollout.states import StepState as S
from rollout.transitions import ConflictError

Json = dict[str, Any]
EDITED = "; the database was edited"
ABORT, NO_ABORT = "run.abort_requested", "run.abort_withdrawn"


def at_work(run: Run, step: Step | None) -> str:
    """Return how a run with this very step at work is not what the audit tells; empty when it is.

    It is asked often, so without the chain, and first without a turn: what differs then may just be on its way, and is
    compared once more in a turn. Raises ConflictError when somebody moved it meanwhile.
    """
    if not _difference(run, step):
        return ""
    with audit.turn():
        require_unmoved(run, step)
        why = _difference(run, step)
        return f"{why}{EDITED}" if why else ""


def not_told(run: Run) -> str:
    """Return how a run does not stand as the audit tells, in a chain that holds; empty when it does."""
    try:
        return next(untold(run, list(run.steps.order_by("number"))), "")
    except proven.UNREADABLE as error:
        return f"it cannot be read: {error!r}"


def was_opened(run: Run) -> bool:
    """Say whether the audit tells that somebody opened this run."""
    return opened.entry_of(audit_told.about("run", [run.pk])[0]) is not None


def is_to_abort(run: Run) -> bool:
    """Say whether somebody asked for the abort of a run, and none took it back: by the audit, whatever its row says.

    It is asked often, so first whether there is such an entry at all.
    """
    if (
        run.kind == Run.Kind.ROLLBACK
        or not AuditEntry.objects.filter(audit_told.of("run", [run.pk]), action=ABORT).exists()
    ):
        return False
    told = [one for one in audit_told.sound_about("run", [run.pk]) if one["action"] in (ABORT, NO_ABORT)]
    # an older version's restore took it back without a word
    restores = audit_told.standing(audit_told.written().filter(action="installation.restored"))
    restored = max((one["seq"] for one in restores), default=0)
    return bool(told) and told[-1]["action"] == ABORT and told[-1]["seq"] > restored


def require_unmoved(run: Run, step: Step | None) -> None:
    """Raise ConflictError when a run or its step was moved since it was read."""
    for row in (run, step):
        if row is None:
            continue
        now = type(row)._default_manager.filter(pk=row.pk).values_list("state", "version").first()
        if now != (row.state, row.version):
            raise ConflictError(f"{row} was {states.label(row.state)} when you looked, and was moved since")


def untold(run: Run, steps: list[Step], *, whole: bool = True) -> Generator[str, None, Json]:
    """Yield how a run, its rollout and its steps do not stand as entries tell; return the one that opened it.

    `whole`: nothing may be wrong with any of these entries, and the chain has to hold. For a rollback that a person
    asked for that is not asked: to bring the service back it is enough that entries which stand tell all of it.
    """
    whole = whole and not (run.kind == Run.Kind.ROLLBACK and run.started_by_id is not None)
    entries, wrong = _entries(run, steps, _newest_move(run), whole=whole)
    yield from wrong
    beginning = yield from _run_untold(run, entries, steps)
    if beginning is None:
        return {"seq": 0}
    yield from _steps_untold(steps, entries)
    if whole:
        # over a history that the anchor file does not know the system brings the service back all the same
        by_anchor = run.kind != Run.Kind.ROLLBACK or not anchors.refusal()
        yield from audit_told.broken_from(beginning["seq"], by_anchor=by_anchor)
    moves = [one for one in entries if one["action"].startswith("rollout.")]
    yield from (f"the rollout: {problem}" for problem in proven.state_problems(run.rollout.state, moves))
    return beginning


def _newest_move(run: Run) -> Q:
    """Return the condition of the entry that tells how the rollout stands: what was before it is no word about that."""
    mine = audit_told.of("rollout", [run.rollout_id]) & Q(action__startswith="rollout.")
    newest = audit_told.written().filter(mine).exclude(new="").order_by("-seq").values_list("seq", flat=True).first()
    return Q(seq=newest)


def _difference(run: Run, step: Step | None) -> str:
    steps = [step] if step is not None else []
    entries, wrong = _entries(run, steps)
    try:
        problems = chain(wrong, _run_untold(run, entries), _steps_untold(steps, entries), _other_step(step, entries))
        return next(problems, "")
    except proven.UNREADABLE as error:
        return f"it cannot be read: {error!r}"


def _entries(run: Run, steps: list[Step], *others: Q, whole: bool = True) -> tuple[list[Json], list[str]]:
    mine = audit_told.of("run", [run.pk]) | audit_told.of("step", [step.pk for step in steps])
    entries = audit_told.written().filter(reduce(or_, others, mine))
    return audit_told.told(entries) if whole else (audit_told.standing(entries), [])


def _run_untold(run: Run, entries: list[Json], steps: list[Step] | None = None) -> Generator[str, None, Json | None]:
    """Yield how a run, with these steps, is not as entries say; return the one that opened it, or None."""
    own = [one for one in entries if one["subject"]["kind"] == "run"]
    beginnings = [one for one in own if one["action"] == f"run.{run.kind}.opened"]
    if len(beginnings) != 1:
        yield f"no entry of the audit tells that this {run.kind} run was opened"
        return None
    yield from (f"the run: {problem}" for problem in proven.state_problems(run.state, own))
    yield from opened.differences(run, beginnings[0], steps=steps)
    return beginnings[0]


def _steps_untold(steps: list[Step], entries: list[Json]) -> Iterator[str]:
    """Yield which steps do not stand where their entries say, or were begun more or less often; pure."""
    entries = [one for one in entries if one["subject"]["kind"] == "step"]
    newest: defaultdict[str, str] = defaultdict(lambda: S.PENDING)
    newest |= {one["subject"]["id"]: one["new"] for one in entries if one["new"]}  # a log that was read tells no state
    begun = Counter(one["subject"]["id"] for one in entries if one["new"] == S.RUNNING)
    for step in steps:
        key = str(step.pk)
        if (newest[key], begun[key]) != (step.state, step.attempt):
            stands, begins = f"{step.state} (attempt {step.attempt})", f"{newest[key]} (attempt {begun[key]})"
            yield f"step {step.number} is {stands}, not {begins}"


def _other_step(step: Step | None, entries: list[Json]) -> Iterator[str]:
    """Yield how a step at work is not the one of which was told as it began: what it left is found by its number; pure.

    An older version did not tell.
    """
    told = [one["data"] for one in entries if one["action"] == "step.running"]
    if step is not None and told and any(told[-1].get(name, now) != now for name, now in begun_as(step).items()):
        yield f"step {step.number} is not the one that was begun"


def begun_as(step: Step) -> Json:
    """Return what the audit tells of a step as it begins."""
    return {name: getattr(step, name) for name in ("number", "kind", "effect", "timeout_s")}
