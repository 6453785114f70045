"""What follows from an end that was no success: the alarm, what was printed, the proof of a restore, the lock.

A file that cannot be read or kept must never keep a run from ending: then the incident says what is missing.
"""

from datetime import datetime
from pathlib import Path

from monitoring import audit, incidents
from monitoring.audit import SYSTEM
from monitoring.models import Incident
from rollout import commands, evidence, locking, opening, runner
from rollout.models import Run, Step, Target


def alarm(run: Run, *, title: str, why: str, runbook: str, now: datetime) -> None:
    """Raise the run's incident to P0, or open one when none stands open."""
    incident = run.incident
    if incident is None or incident.state not in incidents.UNCLOSED:  # closed, or of a state that somebody wrote
        run.incident = opening.open_incident(run.rollout, "P0", title=title, why=why, runbook=runbook, now=now)
        Run.objects.filter(pk=run.pk).update(incident=run.incident)
    elif incident.severity != "P0":
        incidents.change_severity(incident, severity="P0", why=f"{title}: {why}", by=SYSTEM, now=now)
    else:
        incidents.note(incident, text=f"{title}: {why}", by=SYSTEM, now=now)


def attach_output(run: Run, step: Step, *, now: datetime) -> None:
    """Put what a failed step printed into the run's incident: whoever is called at night reads it there."""
    output = commands.folder_of(step) / runner.OUTPUT
    if run.incident is not None and output.exists() and output.stat().st_size:
        _attach(run.incident, f"{step.number}-{step.kind}-output.log", output, now)


def lock_after_rollback(run: Run, *, why: str, now: datetime) -> None:
    """Lock the target with a written reason, and put the restore's log and proof into the incident."""
    if run.incident is not None:
        incidents.note(run.incident, text=f"Rollback run {run.pk} ended: {why}", by=SYSTEM, now=now)
        for artifact in run.artifacts.filter(kind__in=["rollback-restore_log", "rollback-restore_proof"]):
            _attach(run.incident, artifact.name, evidence.path_of(artifact), now)
    if not Target.objects.filter(pk=run.target_id, locked=True).exists():
        reason = f"rolled back from {run.rollout.release.version}: {run.reason}"
        locking.set_lock(run.target, locked=True, why=reason, by=SYSTEM, now=now)


def _attach(incident: Incident, name: str, path: Path, now: datetime) -> None:
    try:
        with audit.turn():
            incidents.attach(incident, name=name, path=path, by=SYSTEM, now=now)
    except (OSError, ValueError) as error:
        incidents.note(incident, text=f"{name} could not be kept here: {error}", by=SYSTEM, now=now)
