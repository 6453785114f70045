"""How runs end otherwise: failed, aborted, refused, unknown; each one transaction with all that follows from it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from approvals import ledger
from monitoring import audit
from monitoring.audit import SYSTEM, Actor
from monitoring.storage import Stored
from rollout import (
    aftermath,
    as_told,
    attempted,
    backups,
    commands,
    drafting,
    evidence,
    freezing,
    nudge,
    opening,
    states,
    transitions,
)
from rollout.intent import Outcome
from rollout.models import Backup, Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S
from rollout.transitions import hold, move


def store_files(step: Step, outcome: Outcome) -> dict[str, Stored]:
    """Make the files that a step left durable, by kind of evidence, before the transaction of `keep_facts`."""
    return {kind: evidence.store(commands.folder_of(step) / name) for kind, name in outcome.evidence.items()}


def keep_facts(run: Run, step: Step, outcome: Outcome, files: Mapping[str, Stored], *, now: datetime) -> None:
    """Turn what a step found into rows: backups, evidence, the version that is live."""
    facts = outcome.facts
    if step.kind == "backup" and facts.get("path") != "":  # empty: no undo copy could be kept
        _keep_backup(run, facts, now)
    if step.kind == "rehearse":
        rehearsed = Backup.objects.filter(run=run, kind=Backup.Kind.BACKUP)
        rehearsed.update(rehearsed_at=now, rehearsal_s=float(facts["rehearsal_s"]))
    if step.kind in ("switch", "start"):
        Target.objects.filter(pk=run.target_id).update(live_version=facts["live_version"])
    for kind, name in outcome.evidence.items():
        path = commands.folder_of(step) / name
        evidence.keep_from_run(run, kind=kind, path=path, stored=files[kind], now=now)


def failed(run: Run, step: Step, outcome: Outcome, *, now: datetime) -> None:
    """End a run whose step said no or broke; roll back when something may have been changed."""
    why = f"{step.title}: {outcome.sentence}"
    with audit.turn():
        take(run)
        document = {"result": outcome.result, "sentence": outcome.sentence, "facts": outcome.facts}
        move(step, S.FAILED, by=SYSTEM, now=now, why=outcome.sentence, ended_at=now, outcome=document)
        journal = step.effects.filter(attempt=step.attempt, observed_at=None)
        journal.update(observed_at=now, observed=f"failed: {outcome.sentence}"[:300])
        transitions.tell(
            run, "step_failed", "warning", why=why, by=SYSTEM, now=now, key=f"step-{step.pk}-{step.attempt}"
        )
        if run.kind == Run.Kind.ROLLBACK and step.kind == "backup":
            nudge.run(run.pk)  # without a copy of what is left, the service is still worth bringing back
        elif run.kind == Run.Kind.VALIDATE:
            back_to_draft(run, why=why, by=SYSTEM, to=N.FAILED, now=now)
        elif run.kind == Run.Kind.DEPLOY:
            deploy_failed(run, why=why, title=f"Deploy failed: {step.title}", now=now)
            aftermath.attach_output(run, step, now=now)
        else:
            rollback_failed(run, step, why=why, now=now)


def deploy_failed(run: Run, *, why: str, title: str, now: datetime) -> None:
    """End a deploy that failed or breached a gate: FAILED when nothing was changed, otherwise roll back by itself."""
    with audit.turn():
        take(run)  # whoever claims a step holds it, too: from here on no first effect can come to be
        rollout = run.rollout
        changes = attempted.changes(rollout)
        if run.state == N.RUNNING and changes.unclear:
            unknown(run, None, why=f"{why}; {changes.unclear}", now=now, title="What was begun")
            return
        severity, runbook = ("P1", "rollback") if changes.possible else ("P2", "incident")
        incident = opening.open_incident(rollout, severity, title=title, why=why, runbook=runbook, now=now)
        Run.objects.filter(pk=run.pk).update(incident=incident)
        run.incident = incident
        if not changes.possible:
            opening.end_run(run, N.FAILED, why=why, by=SYSTEM, now=now)
            move(rollout, R.FAILED, by=SYSTEM, now=now, why=why, state_why=why, ended_at=now)
            return
        rollback = opening.rollback_run(
            rollout, user=None, why=why, by=SYSTEM, automatic=True, now=now, incident=incident
        )
        nudge.run(rollback.pk)


def take(run: Run) -> None:
    """Let nobody move a run meanwhile, and it and its rollout stand as the audit tells: else another one would end."""
    hold(run)
    as_told.put_back(run)
    as_told.put_back(run.rollout)


def aborted(run: Run, *, now: datetime) -> None:
    """Do what an abort asked for: end the run, and roll back when something may have been changed."""
    why, by = f"aborted by {run.abort_by}: {run.abort_why}", SYSTEM
    with audit.turn():
        take(run)
        rollout = run.rollout
        if run.kind == Run.Kind.VALIDATE:
            back_to_draft(run, why=why, by=by, to=N.CANCELLED, now=now)
        elif run.state == N.QUEUED:
            _cancelled(run, why=why, now=now)
        elif (changes := attempted.changes(rollout)).unclear:
            unknown(run, None, why=f"{why}; {changes.unclear}", now=now, title="What was begun")
        elif changes.possible:
            incident = opening.open_incident(
                rollout, "P2", title="Deploy aborted after a change", why=why, runbook="rollback", now=now
            )
            rollback = opening.rollback_run(
                rollout, user=None, why=why, by=by, automatic=False, now=now, incident=incident
            )
            nudge.run(rollback.pk)
        else:
            _cancelled(run, why=why, now=now)


def refused(run: Run, *, why: str, now: datetime) -> None:
    """End a queued run whose consent no longer holds; the rollout is a draft again and can be submitted again."""
    with audit.turn():
        opening.end_run(run, N.CANCELLED, why=why, by=SYSTEM, now=now)
        freezing.void(run.rollout, why=why, by=SYSTEM, now=now)


def unknown(run: Run, step: Step | None, *, why: str, now: datetime, title: str = "") -> None:
    """Park a run whose step may or may not have changed something, or whose steps cannot be told; a person looks."""
    title = step.title if step else title
    with audit.turn():
        if step is not None:
            move(step, S.UNKNOWN, by=SYSTEM, now=now, why=why, ended_at=now)
        # what the target said of an earlier step is no answer about this one
        move(run, N.UNKNOWN, by=SYSTEM, now=now, why=why, probe={}, probed_at=None)
        as_told.put_back(run.rollout)
        if states.allowed("rollout", run.rollout.state, R.UNKNOWN):  # else somebody wrote its state: the run is parked
            move(run.rollout, R.UNKNOWN, by=SYSTEM, now=now, why=why, state_why=f"{title}: {why}")
        aftermath.alarm(run, title=f"Outcome unknown: {title}", why=why, runbook="incident", now=now)
        if step is not None:
            nudge.probe(run.pk)


def not_done(run: Run, step: Step, *, why: str, now: datetime) -> None:
    """End a run of which a person said that its unknown step did not happen; what went before it is undone."""
    if run.kind == Run.Kind.ROLLBACK:
        rollback_failed(run, step, why=why, now=now)
    else:
        deploy_failed(run, why=why, title=f"Deploy failed: {step.title}", now=now)


def _cancelled(run: Run, *, why: str, now: datetime) -> None:
    """End a deploy before it changed anything, and its sign-off with it."""
    rollout = run.rollout
    opening.end_run(run, N.CANCELLED, why=why, by=SYSTEM, now=now)
    if rollout.sign_off is not None:
        ledger.supersede(rollout.sign_off, why=f"cancelled: {why}", by=SYSTEM, now=now)
    move(rollout, R.CANCELLED, by=SYSTEM, now=now, why=why, state_why=why, ended_at=now)


def rollback_failed(run: Run, step: Step, *, why: str, now: datetime) -> None:
    restored = run.steps.filter(kind="verify", params__what="restored", state=S.SUCCEEDED).exists()
    to = R.ROLLED_BACK_UNHEALTHY if restored else R.NOT_RESTORED
    if not run.steps.filter(effect=True, attempt__gt=0).exists():
        why = f"{why.rstrip('.')}. Nothing was touched: {run.target.live_version} is still live."
    elif not run.steps.filter(kind="start", attempt__gt=0).exists() and _is_done(run, "stop"):
        why = f"{why.rstrip('.')}. The service is stopped."
    opening.end_run(run, N.FAILED, why=why, by=SYSTEM, now=now)
    move(run.rollout, to, by=SYSTEM, now=now, why=why, state_why=why, ended_at=now)
    aftermath.alarm(run, title="Rollback failed", why=why, runbook="rollback", now=now)
    aftermath.attach_output(run, step, now=now)
    aftermath.lock_after_rollback(run, why=why, now=now)


def _is_done(run: Run, kind: str) -> bool:
    return run.steps.filter(kind=kind, state=S.SUCCEEDED).exists()


def back_to_draft(run: Run, *, why: str, by: Actor, to: str, now: datetime) -> None:
    """End a validate run; its rollout is a draft again."""
    opening.end_run(run, to, why=why, by=by, now=now)
    move(run.rollout, R.DRAFT, by=by, now=now, why=why, state_why=why)
    drafting.yield_to_newer(run.rollout, by=by, now=now)


def _keep_backup(run: Run, facts: dict[str, Any], now: datetime) -> None:
    backup = backups.register(run.target, facts, run=run, by=SYSTEM, now=now)
    if run.kind == Run.Kind.DEPLOY:
        Rollout.objects.filter(pk=run.rollout_id).update(backup=backup)
        run.rollout.backup = backup
