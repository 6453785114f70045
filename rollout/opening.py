"""Opens runs: writes the plan's steps as rows, in the transaction of the move that calls for them."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from approvals.actors import signs_as
from approvals.ledger import Refused
from monitoring import audit, audit_told, incidents, watcher
from monitoring.audit import Actor
from monitoring.models import Incident
from rollout import as_told, attempted, commands, epochs, opened, plan, routing, runner, told, transitions
from rollout.config_reader import ComponentError
from rollout.models import Backup, Rollout, Run, Step
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S

# the newest of these comes after the start of every rollout that went before
ACTED = (R.QUEUED, R.RUNNING, R.WATCHING, R.SUCCEEDED)


def validate_run(rollout: Rollout, *, user: User, now: datetime) -> Run:
    """Open the run that proves a rollout without changing the target."""
    steps = plan.validate(rollout.target.spec, rollout.release.version)
    return _open(rollout, Run.Kind.VALIDATE, steps, now=now, started_by=user)


def deploy_run(rollout: Rollout, *, user: User, via: str, now: datetime) -> Run:
    """Open the run that puts the release on the target."""
    version = rollout.release.version
    steps = plan.deploy(rollout.target.spec, version, plan.release_dir(rollout.pk, version))
    return _open(rollout, Run.Kind.DEPLOY, steps, now=now, started_by=user, started_via=via)


def rollback_run(
    rollout: Rollout,
    *,
    user: User | None,
    why: str,
    by: Actor,
    automatic: bool,
    now: datetime,
    incident: Incident | None = None,
    backup: Backup | None = None,
) -> Run:
    """End the deploy run and open the rollback run, in one transaction.

    A command that still runs is asked to end; the first step of the rollback waits for the target's lock until it has.
    Raises IntegrityError when another run holds the target, Refused when the backup that a person named went meanwhile.
    """
    restores = backup or backup_of(rollout)
    with audit.turn():
        if user is not None:  # one that the system begins is refused by nothing
            _require_possible(rollout, restores)
        as_told.make_way(rollout.target, but=rollout)
        _end_open(rollout, why=why, by=by, automatic=automatic, now=now)
        incident = incident or _continue_incident(rollout, why=why, by=by, now=now)
        used: dict[str, Any] = {"automatic_rollback_used": True} if automatic else {}
        transitions.move(
            rollout, R.ROLLING_BACK, by=by, now=now, why=why, state_why=why, needs_decision="", ended_at=None, **used
        )
        version = restores.release_version if restores else rollout.previous_version
        steps = plan.rollback(version)
        return _open(
            rollout,
            Run.Kind.ROLLBACK,
            steps,
            now=now,
            state=N.RUNNING,
            started_by=user,
            started_at=now,
            automatic=automatic,
            reason=why,
            incident=incident,
            restores=restores,
            epoch=epochs.next_epoch(rollout.target),
            chosen=backup is not None,
        )


def backup_of(rollout: Rollout) -> Backup | None:
    """Return what a rollback goes back to: as the audit tells, or, where it does not, by the rollout's row."""
    deploys = rollout.runs.filter(kind=Run.Kind.DEPLOY)
    return told.taken_by(deploys, target=rollout.target) or rollout.backup


def _end_open(rollout: Rollout, *, why: str, by: Actor, automatic: bool, now: datetime) -> None:
    """End what of a rollout acts on the target, or may do so still."""
    for run in rollout.runs.exclude(kind=Run.Kind.VALIDATE).filter(state__in=[N.RUNNING, N.UNKNOWN]):
        to = N.FAILED if automatic or run.state == N.UNKNOWN else N.CANCELLED
        if run.state == N.UNKNOWN:
            epochs.lift_for(run)
        end_run(run, to, why=why, by=by, now=now)


def _require_possible(rollout: Rollout, restores: Backup | None) -> None:
    """Refuse, before anything is ended, what would go by a configuration nobody loaded, or a backup that is gone."""
    if problem := next(told.target_problems(rollout.target), ""):
        watch = "; the watch still rolls back by itself" if rollout.state == R.WATCHING else ""
        raise Refused(
            f"A rollback by a person goes by the configuration in force, and {problem}: the database was edited. Load "
            f"the file again first (manage.py load_component). Nothing was ended{watch}."
        )
    if restores is not None:
        _keep(restores)


def _keep(backup: Backup) -> None:
    """Take a backup before retention does: that waits for this row, and then finds the run that needs it."""
    if Backup.objects.filter(pk=backup.pk, removed_at=None).update(removed_at=None) != 1:
        raise Refused(f"The backup {backup} has just been removed; name another one that still exists.")


def end_run(run: Run, to: str, *, why: str, by: Actor, now: datetime) -> None:
    """End a run: a running step counts as failed and is cancelled, the rest is skipped, its watch is closed."""
    for step in run.steps.filter(state__in=[S.RUNNING, S.PENDING, S.UNKNOWN]):
        failed = step.state != S.PENDING
        if failed and step.kind != "watch":  # of an unknown one too: a worker that was stopped must not start it late
            _cancel_soon(step)
        changes: dict[str, Any] = {"ended_at": now, "outcome": {"result": "failed", "sentence": why}} if failed else {}
        transitions.move(step, S.FAILED if failed else S.SKIPPED, by=by, now=now, why=why, **changes)
    if run.watch is not None:
        watcher.close(run.watch, now=now)
    transitions.move(run, to, by=by, now=now, why=why, ended_at=now, reason=run.reason or why)


def _cancel_soon(step: Step) -> None:
    def cancel() -> None:
        runner.cancel(commands.folder_of(step))

    # robust: the move is committed; what cannot be asked then, pulse asks again (leftovers)
    transaction.on_commit(cancel, robust=True)


def open_incident(rollout: Rollout, severity: str, *, title: str, why: str, runbook: str, now: datetime) -> Incident:
    """Open an incident about a rollout."""
    return incidents.open(
        subject=transitions.subject_of(rollout),
        severity=severity,
        title=title[:200],
        summary=why,
        runbook=runbook,
        by=audit.SYSTEM,
        routes=routing.of(rollout.target.component),
        url=transitions.url_of(rollout),
        now=now,
    )


def _continue_incident(rollout: Rollout, *, why: str, by: Actor, now: datetime) -> Incident:
    """Return the incident that this rollout has open already, with a note, or open one for a rollback by a person."""
    own = Incident.objects.filter(pk__in=rollout.runs.values("incident"))
    still = own.exclude(state=Incident.State.CLOSED).order_by("-pk").first()
    if still is None:
        return open_incident(rollout, "P2", title=f"Rolled back by {by.name}", why=why, runbook="rollback", now=now)
    incidents.note(still, text=f"Rolling back again, by {by.name}: {why}", by=by, now=now)
    return still


def newer_change(rollout: Rollout) -> Rollout | None:
    """Return a later rollout whose change of the target still stands: to undo below it would undo it unseen."""
    place = {"component": rollout.target.component.name, "environment": rollout.target.environment.name}
    acted = [seq for seq, state in as_told.moves_of(rollout.pk) if state in ACTED]
    begun = audit_told.written().filter(**place, action=f"rollout.{R.RUNNING.lower()}", seq__gt=max(acted, default=0))
    for entry in reversed(audit_told.standing(begun)):
        later = Rollout.objects.filter(target=rollout.target, pk=entry["subject"]["id"]).exclude(pk=rollout.pk).first()
        if later is not None and not _is_undone(later) and attempted.is_shown_or_told(later):
            return later
    return None


def _is_undone(rollout: Rollout) -> bool:
    moves = as_told.moves_of(rollout.pk)
    return bool(moves) and moves[-1][1] in (R.ROLLED_BACK, R.ROLLED_BACK_UNHEALTHY)


def say_why(rollout: Rollout, why: str) -> None:
    """Let the page say what a queued run waits for; no move, so that it may be said as often as it is found."""
    waits = Rollout.objects.filter(pk=rollout.pk, state__in=[R.QUEUED, R.VALIDATING])
    waits.exclude(state_why=why).update(state_why=why)


def _open(
    rollout: Rollout, kind: str, steps: tuple[plan.StepPlan, ...], *, now: datetime, chosen: bool = False, **values: Any
) -> Run:
    """Write a run with its steps, and tell the audit; `chosen`: a person named the backup that it restores."""
    with audit.turn():
        target = rollout.target
        host = _host_of(rollout, by_system=kind == Run.Kind.ROLLBACK and values["started_by"] is None)
        run = Run.objects.create(rollout=rollout, target=target, host_id=host, kind=kind, created_at=now, **values)
        Step.objects.bulk_create(
            Step(
                run=run,
                number=number,
                kind=step.kind,
                title=step.title,
                effect=step.effect,
                params=step.params,
                timeout_s=step.timeout_s,
            )
            for number, step in enumerate(steps, start=1)
        )
        audit.append(
            action=f"run.{kind}.opened",
            by=opener(run),
            subject=transitions.subject_of(run),
            new=run.state,
            why=run.reason,
            data={**opened.facts(run), "chosen": chosen},
            now=now,
        )
    return run


def _host_of(rollout: Rollout, *, by_system: bool) -> str:
    """Return the host whose worker acts: the one that the configuration names, whatever the target's row says.

    What the system undoes by itself it undoes where its deploy was opened.
    """
    deploy = rollout.runs.filter(kind=Run.Kind.DEPLOY).order_by("-pk").first() if by_system else None
    if deploy is not None:
        entry = opened.entry_of(audit_told.sound_about("run", [deploy.pk]))
        return str(entry["data"].get("host", deploy.host_id)) if entry else deploy.host_id
    try:
        return rollout.target.declared.runs_on
    except ComponentError:
        return rollout.target.host_id  # a rollback needs no configuration


def opener(run: Run) -> Actor:
    """Return who a run acts for: the person who started it, or the system."""
    if run.started_by is None:
        return audit.SYSTEM
    via: audit.Via = "shell" if run.started_via == "shell" else "browser"
    name = run.started_by.get_username()
    return Actor(id=run.started_by.pk, name=name, via=via, printed=signs_as(run.started_by))
