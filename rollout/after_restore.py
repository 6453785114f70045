"""Makes a restored database honest: what it calls running, queued or approved may have gone further since it was saved.

Nothing is run again. What may have changed a target is parked, what was consented is asked again, and every target is
locked until a person has seen which release is live.
"""

import contextlib
from datetime import datetime

from django.conf import settings
from django.contrib.sessions.models import Session

from monitoring import anchors, audit, incidents
from monitoring.audit import Actor
from rollout import (
    borne,
    contradicted,
    endings,
    finishing,
    freezing,
    hosts,
    journal,
    locking,
    nudge,
    opening,
    routing,
    standing,
    transitions,
)
from rollout.drivers import DRIVERS, fence
from rollout.models import Component, Heartbeat, Rollout, Run, Target
from rollout.own_archive import Archive
from rollout.own_backup import INSTALLATION
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S

# More runs than a target has between two backups: where its fence cannot be read, its epoch passes it nevertheless.
LEAP = 1000
TITLE = "Restored from a backup"


def settle(archive: Archive, *, by: Actor, now: datetime) -> list[str]:
    """Park, void and lock, in one transaction; return what a person has to do, which also stands in an incident."""
    taken = str(archive.facts["taken_at"])[:19].replace("T", " ")
    why = f"restored from a backup of {taken} UTC; what was done since is not in these records"
    given_up = anchors.given_up()
    with audit.turn():
        to_do = [line for run in _under_way() for line in _stop(run, why=why, now=now)]
        for rollout in Rollout.objects.filter(state__in=[R.WAITING, R.APPROVED]):
            was = "approved" if rollout.state == R.APPROVED else "waiting for sign-offs"
            freezing.void(rollout, why=f"{why}: it may have been deployed, or an approval taken back", by=by, now=now)
            to_do.append(f"rollout {rollout.pk} ({rollout}) was {was}; it is a draft again")
        to_do += [_lock(target, why=why, by=by, now=now) for target in _targets()]
        to_do += ["revoke tokens and disable accounts again that were revoked or disabled since the backup"]
        Session.objects.all().delete()
        _forget_messages()
        Heartbeat.objects.all().delete()
        _tell(archive, why=why, to_do=to_do, given_up=given_up, by=by, now=now)
    return to_do


def _forget_messages() -> None:
    """Drop what waits in every queue, also what was taken: it is of another time, and pulse sees what is due now."""
    for host in {settings.GR_HOST_ID, *hosts.known()}:
        with contextlib.suppress(Exception):  # a Redis that is not there; its errors cannot be named without it
            nudge.drop(host)


def _under_way() -> list[Run]:
    runs = Run.objects.filter(state__in=[N.QUEUED, N.RUNNING]).order_by("pk")
    return list(runs.select_related("target__component", "target__environment", "rollout__release", "watch"))


def _stop(run: Run, *, why: str, now: datetime) -> list[str]:
    """End a run that can have changed nothing, park one that may have; a watch goes on."""
    by, step = audit.SYSTEM, run.steps.filter(state__in=[S.RUNNING, S.PENDING]).order_by("number").first()
    if run.kind == Run.Kind.VALIDATE:
        opening.end_run(run, N.CANCELLED if run.state == N.QUEUED else N.FAILED, why=why, by=by, now=now)
        transitions.move(run.rollout, R.DRAFT, by=by, now=now, why=why, state_why=why)
        return [f"rollout {run.rollout_id} ({run.rollout}) was being validated; submit it again"]
    if run.state == N.QUEUED:
        endings.refused(run, why=why, now=now)
        return [f"rollout {run.rollout_id} ({run.rollout}) was queued; it is a draft again"]
    if step is None and not (wrong := borne.why_not(run)):
        finishing.finished(run, now=now)
        return []
    if step is None:
        contradicted.end(run, None, why=wrong, now=now)
        return [f"rollout {run.rollout_id} ({run.rollout}) cannot end as if all were well: {wrong}; look at its page"]
    if step.kind == "watch" and step.state == S.RUNNING:
        return [_watch_on(run, now)]
    endings.unknown(run, step, why=why, now=now)
    return [f"rollout {run.rollout_id} ({run.rollout}) is UNKNOWN at {step.title!r}; decide on its page"]


def _watch_on(run: Run, now: datetime) -> str:
    """Let a watch go on, but let it roll back nothing by itself: another release may be live by now."""
    line = f"rollout {run.rollout_id} ({run.rollout}) is watched again; is its release still the live one? "
    line += "A breach asks you, and rolls back nothing by itself"
    journal.withhold_rollback(run.rollout, why="the database was set back: another release may be live by now", now=now)
    if standing.is_to_abort(run):
        Run.objects.filter(pk=run.pk).update(abort_requested=False)
        subject, why = transitions.subject_of(run), "the database was set back: that may have been of another release"
        audit.append(action=standing.NO_ABORT, by=audit.SYSTEM, subject=subject, why=why, now=now)
        line += f"; {run.abort_by} had asked to abort it: abort it again if that still holds"
    return line


def _targets() -> list[Target]:
    return list(Target.objects.filter(retired=False).select_related("component", "environment"))


def _lock(target: Target, *, why: str, by: Actor, now: datetime) -> str:
    """Raise the epoch above everything that the target may have seen, and lock the target."""
    live, seen = _on_disk(target)
    Target.objects.filter(pk=target.pk).update(epoch=max(target.epoch, seen) + LEAP)
    words = f"{target}: the records say {target.live_version or 'nothing'} is live, on the target is {live}"
    if not target.locked:
        locking.set_lock(target, locked=True, why=f"{why}. {words}. Unlock it when that is right.", by=by, now=now)
    return f"{words}; unlock it when that is right"


def _on_disk(target: Target) -> tuple[str, int]:
    """Return which release is live on the target and the epoch of its fence, as far as they can be seen from here."""
    try:
        spec = target.spec
        return DRIVERS[spec.driver].live(spec) or "none", fence.read(spec.root_path).epoch
    except Exception as error:  # a target that cannot be asked now must not stop the restore
        return f"not known ({type(error).__name__})", 0


def _tell(
    archive: Archive, *, why: str, to_do: list[str], given_up: dict[str, int | str], by: Actor, now: datetime
) -> None:
    routes = [route for component in Component.objects.all() for route in routing.of(component)]
    incidents.open(
        subject=INSTALLATION,
        severity="P1",
        title=TITLE,
        summary="\n".join([f"{why.capitalize()}. To do:", *(f"- {line}" for line in to_do)]),
        runbook="incident",
        by=by,
        routes=list(dict.fromkeys(routes)) or routing.everywhere(),
        url="",
        now=now,
    )
    facts = {"sha256": archive.sha256, "taken_at": archive.facts["taken_at"], "host": archive.facts["host"]}
    data = {**facts, **given_up}
    audit.append(action="installation.restored", by=by, subject=INSTALLATION, why=why, data=data, now=now)
