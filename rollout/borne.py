"""Whether what a run is about to do is what people clicked and signed: rows that somebody wrote into the database do
nothing.

The engine goes by rows. So before each step these are compared with what cannot be written as easily: the entries of
the audit that told of the run, its steps and its sign-off when they came to be, in a chain that holds from there to
its head, and the plan in the manifest that was signed.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from approvals import proven
from approvals.models import SignOff
from monitoring import anchors, audit, audit_told
from monitoring.models import Watch
from rollout import commands, freezing, glass_record, opened, standing, states, told
from rollout.models import Backup, BreakGlass, Configuration, Rollout, Run, Step
from rollout.standing import EDITED
from rollout.states import StepState as S
from rollout.transitions import ConflictError

Json = dict[str, Any]
# What a run without consent may do: whether a step of a kind changes the target (plan.validate, plan.rollback).
PROVES = dict.fromkeys(("preflight", "scan", "backup", "rehearse", "dry_run", "check"), False)
BRINGS_BACK = {"verify": False, "backup": False, "check": False, "stop": True, "restore": True, "start": True}
NO_DEPLOY = "no entry of the audit tells of the deploy that it undoes"


def take(run: Run, step: Step | None) -> None:
    """Read a run and its step again; nobody writes the rows that they go by until the turn ends.

    Else somebody could put a row right between the comparison and what it is used for, or the other way round.
    Raises ConflictError when one of them was moved since it was read, or acts on another target.
    """
    mine = run.steps.all(), Run.objects.filter(pk=run.pk), Rollout.objects.filter(pk=run.rollout_id)
    in_force = Configuration.objects.filter(component=run.target.component_id, state__in=["LIVE", "PAST"])
    for rows in (*mine, in_force, Backup.objects.filter(pk=run.restores_id or 0)):
        list(rows.select_for_update(of=("self",)).values_list("pk", flat=True))  # SQLite has one writer at a time
    before = run.state, run.version, run.target_id, step and (step.state, step.version)
    run.refresh_from_db(from_queryset=Run.objects.with_places())
    if step is not None:
        step.refresh_from_db()
        step.run = run
    if before != (run.state, run.version, run.target_id, step and (step.state, step.version)):
        raise ConflictError(f"{run} was {states.label(str(before[0]))} when you looked, and was moved since")


def why_not(run: Run) -> str:
    """Return why the audit does not bear out that a run goes on with its next step; empty when it does.

    In a turn: several queries over what others append to would find differences that are none.
    """
    with audit.turn():
        # of a database that was set back the anchor file knows more: a rollback brings the service back all the same
        if run.kind != Run.Kind.ROLLBACK and (refusal := anchors.refusal()):
            return refusal
        try:
            problem = next(_problems(run), "")
        except proven.UNREADABLE as error:
            problem = f"it cannot be read: {error!r}"
        return f"{problem}{EDITED}" if problem else ""


def why_not_end(run: Run) -> str:
    """Return why the audit does not bear out that a run ends well; empty when it does.

    A deploy whose release a person let stay ends by his word: nothing acts any more, so the chain has to hold since.
    """
    with audit.turn():
        if run.kind != Run.Kind.DEPLOY or run.watch is None or not _is_let_stay(run.watch):
            return why_not(run)
        try:
            problem = next(standing.untold(run, list(run.steps.order_by("number")), whole=False), "")
        except proven.UNREADABLE as error:
            problem = f"it cannot be read: {error!r}"
        return f"{problem}{EDITED}" if problem else ""


def not_about(sign_off: SignOff | None, rollout: Rollout) -> str:
    """Return why a sign-off is no consent to a rollout; empty when it is about this one."""
    if sign_off is None:
        return "there is no sign-off"
    about = sign_off.subject_kind, sign_off.subject_id
    return "" if about == ("rollout", str(rollout.pk)) else "the sign-off is about something else"


def is_outcome(run: Run, watch: Watch) -> bool:
    """Say whether a run's watch was decided as its row tells, by entries since its opening in a chain that holds."""
    if (watch.subject_kind, watch.subject_id) != ("rollout", str(run.rollout_id)):
        return False
    with audit.turn():
        told = _told_of(watch)
        decided = [one["new"] for one in told if one["action"] not in ("watch.opened", "watch.closed") and one["new"]]
        if not decided or decided[-1] != watch.outcome:
            return False
        if _is_let_stay(watch):
            return True
        opened = [one["seq"] for one in told if one["action"] == "watch.opened"]
        return bool(opened and not audit_told.broken_from(opened[0]))


def _told_of(watch: Watch) -> list[Json]:
    entries = audit_told.about(watch.subject_kind, [watch.subject_id])[0]
    return [one for one in entries if one["data"].get("watch") == watch.pk]


def _is_let_stay(watch: Watch) -> bool:
    """Say whether a person let a release stay, in a chain that holds since then: he looked at what was before."""
    last = next((one for one in reversed(_told_of(watch)) if one["new"] and one["action"] != "watch.closed"), None)
    if last is None or last["action"] != "watch.accepted" or last["actor"]["id"] is None:
        return False
    return not audit_told.broken_from(last["seq"], by_anchor=False)


def _problems(run: Run) -> Iterator[str]:
    steps = list(run.steps.order_by("number"))
    beginning = yield from standing.untold(run, steps)
    yield from (f"step {one.number} was {one.state}, and nothing comes after that" for one in _ended_by(run, steps))
    if run.kind == Run.Kind.DEPLOY:
        yield from _unsigned(run, steps, after=beginning["seq"])
        return
    yield from _edited(run, beginning)
    allowed = PROVES if run.kind == Run.Kind.VALIDATE else BRINGS_BACK
    for step in steps:
        if allowed.get(step.kind) is not step.effect:
            yield f"no {run.kind} run has such a step: {step.kind}"


def _ended_by(run: Run, steps: list[Step]) -> Iterator[Step]:
    """Yield the steps by which a run would have ended; without an undo copy a rollback goes on."""
    without_copy = (Run.Kind.ROLLBACK, "backup", S.FAILED)
    ended = (one for one in steps if one.state not in (S.PENDING, S.SUCCEEDED))
    yield from (one for one in ended if (run.kind, one.kind, one.state) != without_copy)


def _edited(run: Run, beginning: Json) -> Iterator[str]:
    """Yield how what the commands of a validate run or a rollback come from is not what the audit told.

    That is a configuration or the signed manifest, and a backup.
    """
    sign_off = run.rollout.sign_off
    deploy = _deploy_before(run) if run.kind == Run.Kind.ROLLBACK else None
    if commands.by_configuration(run) or sign_off is None:
        yield from told.target_problems(run.target)
    elif deploy:
        yield from _not_begun_by(sign_off, run.rollout, deploy)
    else:
        yield NO_DEPLOY
    by_person = beginning["actor"]["id"] is not None
    if deploy and not by_person:  # nobody looks at what the system undoes: nothing may be hidden since it was done
        yield from audit_told.broken_from(deploy["seq"], by_anchor=False)
    chosen = beginning["data"].get("chosen", by_person)  # an older version did not tell
    if run.restores is not None and (chosen or deploy):
        yield from told.backup_problems(
            run.restores, target=run.target, deploy=None if chosen else deploy, chosen=chosen
        )
    elif run.restores is not None:
        yield NO_DEPLOY


def _not_begun_by(sign_off: SignOff, rollout: Rollout, deploy: Json) -> Iterator[str]:
    """Yield why a sign-off, whose manifest tells what a rollback does, is not the one by which that deploy began."""
    if problem := not_about(sign_off, rollout):
        yield problem
    yield from proven.opening_problems(sign_off)
    glass = BreakGlass.objects.filter(run=int(deploy["subject"]["id"]), rollout=rollout, sign_off=sign_off).first()
    if glass is None or not glass_record.is_told(glass):
        yield from proven.use_of(sign_off, after=deploy["seq"])[1]


def _deploy_before(run: Run) -> Json | None:
    """Return the entry that opened the deploy which a rollback undoes; where nobody chose, that one's backup counts.

    Whichever rollout the rows of the deploys say that they are of; an older version did not tell.
    """
    mine, here = run.rollout_id, audit_told.of("run", run.rollout.runs.values_list("pk", flat=True))
    named = Q(body__contains=f'"rollout":{mine},') | Q(body__contains=f'"rollout":{mine}}}')
    told_so = Q(component=run.target.component.name) & named
    entries, wrong = audit_told.told(audit_told.written().filter(here | told_so, action="run.deploy.opened"))
    return None if wrong else next((one for one in reversed(entries) if one["data"].get("rollout", mine) == mine), None)


def _unsigned(run: Run, steps: list[Step], *, after: int) -> Iterator[str]:
    """Yield how a deploy is not what was consented to: its sign-off, as the audit tells it, or the steps in that."""
    rollout, sign_off = run.rollout, run.rollout.sign_off
    if problem := not_about(sign_off, rollout):
        yield problem
    if sign_off is None or not freezing.is_intact(rollout):
        return  # of an edited manifest the engine knows by itself
    yield from proven.problems(sign_off)
    if sign_off.state == SignOff.State.BYPASSED:
        glass = BreakGlass.objects.filter(run=run, rollout=rollout, sign_off=sign_off).first()
        if glass is None or not glass_record.is_told(glass):
            yield "the audit does not tell of a break-glass for this run"
    elif sign_off.state == SignOff.State.USED:
        yield from proven.used_problems(sign_off, after=after)
    else:
        yield f"its sign-off was not used to start anything: it is {sign_off.get_state_display()}"
    if opened.plan_of(steps) != freezing.signed(rollout)["plan"]["deploy"]:
        yield "its steps are not those of the plan that was signed"
