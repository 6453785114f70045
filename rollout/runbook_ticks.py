"""Records who ticked which box of a runbook for a rollout, and when; a cleared box is a row too."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User

from approvals import people
from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import Actor
from monitoring.models import Incident
from rollout import access, actions, runbook_fill, transitions
from rollout.models import Rollout, Run, Runbook, RunbookTick
from rollout.runbook_fill import Filled


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box as it stands: its text, and the newest tick if there is one."""

    number: int
    text: str
    tick: RunbookTick | None

    @property
    def done(self) -> bool:
        """Say whether the box is ticked."""
        return self.tick is not None and self.tick.done


def filled(runbook: Runbook, rollout: Rollout | None) -> Filled:
    """Return a runbook with a rollout's values, or with what the component alone can say."""
    return runbook_fill.fill(runbook.text, _values(runbook, rollout))


def boxes(runbook: Runbook, rollout: Rollout, text: Filled) -> dict[int, Box]:
    """Return the boxes of a runbook for a rollout, by number."""
    newest = {
        tick.item: tick
        for tick in RunbookTick.objects.filter(runbook=runbook, rollout=rollout).select_related("by__person")
    }
    return {number: Box(number=number, text=said, tick=newest.get(number)) for number, said in text.items.items()}


def tick(
    runbook: Runbook, rollout: Rollout, *, item: int, done: bool, user: User, by: Actor, now: datetime
) -> RunbookTick:
    """Tick a box, or clear it again; raise Refused when the runbook has no such box or changed meanwhile."""
    actions.require(user, rollout.target, access.RESPONDERS | access.DECIDERS)
    if runbook.component_id != rollout.target.component_id:
        raise Refused(f"{runbook} is no runbook of {rollout.target.component}.")
    if not runbook.current:
        raise Refused("This runbook was changed meanwhile: load the page again, the boxes may mean something else now.")
    text = filled(runbook, rollout).items.get(item)
    if text is None:
        raise Refused(f"{runbook.title} has no box {item}.")
    with audit.turn():
        made = RunbookTick.objects.create(
            runbook=runbook, rollout=rollout, item=item, text=text[:300], done=done, by=user, at=now
        )
        data = {"runbook": runbook.slug, "sha256": runbook.sha256, "item": item, "text": made.text}
        action = "runbook.ticked" if done else "runbook.cleared"
        audit.append(action=action, by=by, subject=transitions.subject_of(rollout), data=data, now=now)
    return made


def _values(runbook: Runbook, rollout: Rollout | None) -> dict[str, str]:
    spec = runbook.component.spec
    values = {**spec.owners, "component": runbook.component.name}
    if rollout is None:
        return values
    backup, incident = rollout.backup, _incident_of(rollout)
    values |= {
        "environment": rollout.target.environment.name,
        "release": rollout.release.version,
        "previous_release": rollout.previous_version,
        "owner": people.printed_name(rollout.requester),
        "base_url": spec.target(rollout.target.environment.name).base_url,
        "rollout_url": transitions.url_of(rollout),
        "incident_url": f"{settings.GR_BASE_URL}/incidents/{incident.pk}/" if incident else "",
        "backup": f"backups/{backup}" if backup else "",
        "backup_sha256": backup.sha256 if backup else "",
    }
    return values


def _incident_of(rollout: Rollout) -> Incident | None:
    run = Run.objects.filter(rollout=rollout, incident__isnull=False).select_related("incident").order_by("-pk").first()
    return run.incident if run else None
