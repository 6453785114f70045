"""Whether what a run is about to do is what people clicked and signed: rows that somebody wrote into the database do
nothing.

The engine goes by rows. So before each step these are compared with what cannot be written as easily: the entries of
the audit that told of the run and of its sign-off when they came to be, and the plan in the manifest that was signed.
"""

import json
from collections.abc import Iterator
from typing import Any

from approvals import proven
from approvals.models import SignOff
from monitoring import audit, audit_told
from monitoring.models import AuditEntry
from rollout import commands, freezing, glass_record, told
from rollout.models import BreakGlass, Rollout, Run

# What a run without consent may do: whether a step of a kind changes the target (plan.validate, plan.rollback).
PROVES = dict.fromkeys(("preflight", "scan", "backup", "rehearse", "dry_run", "check"), False)
BRINGS_BACK = {"verify": False, "backup": False, "check": False, "stop": True, "restore": True, "start": True}


def why_not(run: Run) -> str:
    """Return why the audit does not bear out that a run goes on with its next step; empty when it does.

    In a turn: several queries over what others append to would find differences that are none.
    """
    with audit.turn():
        return next(_problems(run), "")


def not_told(run: Run) -> str:
    """Return how a run does not stand as the audit tells; empty when it does."""
    mine = AuditEntry.objects.filter(subject_kind="run", subject_id=str(run.pk))
    entries, wrong = audit_told.told(mine)
    if wrong:
        return wrong[0]
    if sum(one["action"] == f"run.{run.kind}.opened" for one in entries) != 1:
        return f"no entry of the audit tells that this {run.kind} run was opened"
    return next((f"the run: {problem}" for problem in proven.state_problems(run.state, entries)), "")


def not_about(sign_off: SignOff | None, rollout: Rollout) -> str:
    """Return why a sign-off is no consent to a rollout; empty when it is about this one."""
    if sign_off is None:
        return "there is no sign-off"
    about = sign_off.subject_kind, sign_off.subject_id
    return "" if about == ("rollout", str(rollout.pk)) else "the sign-off is about something else"


def _problems(run: Run) -> Iterator[str]:
    if problem := not_told(run):
        yield problem
    if run.kind == Run.Kind.DEPLOY:
        yield from _unsigned(run)
        return
    yield from _edited(run)
    allowed = PROVES if run.kind == Run.Kind.VALIDATE else BRINGS_BACK
    for kind, effect in run.steps.values_list("kind", "effect"):
        if allowed.get(kind) is not effect:
            yield f"no {run.kind} run has such a step: {kind}"


def _edited(run: Run) -> Iterator[str]:
    """Yield how what a run's commands come from is not what the audit told: configuration, signed manifest, backup."""
    sign_off = run.rollout.sign_off
    if commands.by_configuration(run) or sign_off is None:
        yield from told.configuration_problems(run.target.component)
    else:
        yield from proven.opening_problems(sign_off)
    if run.restores is not None:
        yield from told.backup_problems(run.restores)


def _unsigned(run: Run) -> Iterator[str]:
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
    elif sign_off.state != SignOff.State.USED:
        yield f"its sign-off was not used to start anything: it is {sign_off.get_state_display()}"
    if _steps(run) != freezing.signed(rollout)["plan"]["deploy"]:
        yield "its steps are not those of the plan that was signed"


def _steps(run: Run) -> list[dict[str, Any]]:
    names = ("kind", "title", "effect", "params", "timeout_s")
    rows = run.steps.order_by("number").values_list("number", *names)
    steps = [dict(zip(names, values, strict=True)) for _, *values in rows]
    plain: list[dict[str, Any]] = json.loads(json.dumps(steps))
    return plain if [row[0] for row in rows] == list(range(1, len(rows) + 1)) else []
