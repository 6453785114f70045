"""Hosts: the queue of each, and where work goes that any of them may do."""

from django.conf import settings

from monitoring import audit_told
from monitoring.models import AuditEntry
from rollout import heartbeat
from rollout.models import Run, Target
from rollout.states import RunState as N

QUEUES = "guarded-rollout@"
# So long (seconds) work still goes to a worker that was not heard of: it is asked for a sign of life every 30.
SILENT_S = 65.0


def queue_of(host: str) -> str:
    """Return the name of the queue that the workers of a host serve."""
    return f"{QUEUES}{host}"


def for_any() -> str:
    """Return the host for work that any may do: our own while a worker lives here, else where one was heard last."""
    home: str = settings.GR_HOST_ID
    ages = heartbeat.ages("worker")
    if not ages:
        return home
    freshest = min(ages, key=lambda host: ages[host])
    stay = home in ages and (ages[home] <= SILENT_S or ages[freshest] > SILENT_S)
    return home if stay else freshest


def serves_itself() -> bool:
    """Say whether this host has workers, or may be the one that is to have the first."""
    workers = heartbeat.ages("worker")
    return not workers or settings.GR_HOST_ID in workers


def needed() -> list[str]:
    """Return the hosts that must live: those of targets and of runs that are not over; ours while there are none."""
    places = Target.objects.filter(retired=False).order_by().values_list("host_id", flat=True)
    runs = Run.objects.filter(state__in=[N.QUEUED, N.RUNNING, N.UNKNOWN]).order_by().values_list("host_id", flat=True)
    return sorted({*places, *runs}) or [settings.GR_HOST_ID]


def known() -> list[str]:
    """Return every host that may have a queue."""
    return sorted({settings.GR_HOST_ID, *needed(), *heartbeat.ages("worker"), *heartbeat.ages("pulse")})


def at_risk() -> list[str]:
    """Return the other hosts that must act themselves: they have runs under way, or aborts that were asked for."""
    elsewhere = Run.objects.exclude(host_id=settings.GR_HOST_ID).order_by()
    under_way = elsewhere.filter(state=N.RUNNING).values_list("host_id", flat=True)
    waiting = {str(run): host for run, host in elsewhere.filter(state=N.QUEUED).values_list("pk", "host_id")}
    # by the audit: by its row, anybody could have asked for it, or nobody
    asked = AuditEntry.objects.filter(audit_told.of("run", waiting), action="run.abort_requested")
    return sorted({*under_way, *(waiting[run] for run in asked.values_list("subject_id", flat=True))})


def watches_elsewhere() -> list[int]:
    """Return the watches of runs of other hosts: their addresses, logs and commands mean nothing here."""
    runs = Run.objects.filter(state=N.RUNNING, watch__isnull=False).exclude(host_id=settings.GR_HOST_ID)
    return list(runs.values_list("watch", flat=True))
