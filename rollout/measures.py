"""What Prometheus is told of this installation; computed from the database at each scrape."""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring import audit
from monitoring.models import Incident, Notice
from rollout import nudge, states
from rollout.models import Backup, Heartbeat, Rollout, Target


class Installation(Collector):
    """Reads the gauges; nothing is counted in a process, so any number of web processes say the same."""

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge."""
        yield _rollouts()
        yield _incidents()
        yield from _queues()
        yield _number(
            "gr_notices_unsent",
            "Notices that are still to be delivered.",
            Notice.objects.filter(state="PENDING").count(),
        )
        yield _number("gr_audit_entries", "Sequence number of the newest audit entry.", audit.head()[0])
        yield _heartbeats()
        yield from _targets()


def text() -> bytes:
    """Return the gauges in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Installation())
    return bytes(generate_latest(registry))


def _number(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)


def _rollouts() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("gr_rollouts", "Rollouts by state.", labels=["state"])
    seen = dict(Rollout.objects.order_by().values_list("state").annotate(Count("pk")))
    for state in states.RolloutState:
        gauge.add_metric([state.value], seen.get(state.value, 0))
    return gauge


def _incidents() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("gr_incidents_open", "Incidents that are not closed, by severity.", labels=["severity"])
    unclosed = Incident.objects.exclude(state=Incident.State.CLOSED).order_by()
    seen = dict(unclosed.values_list("severity").annotate(Count("pk")))
    for severity in Incident.Severity.values:
        gauge.add_metric([severity], seen.get(severity, 0))
    return gauge


def _heartbeats() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("gr_heartbeat_age_seconds", "Time since the last sign of life.", labels=["name"])
    now = timezone.now()
    for beat in Heartbeat.objects.filter(name__contains="@"):
        gauge.add_metric([beat.name], (now - beat.at).total_seconds())
    return gauge


def _queues() -> Iterator[GaugeMetricFamily]:
    count = GaugeMetricFamily("gr_queue_waiting", "Messages that no worker has taken yet.", labels=["host"])
    oldest = GaugeMetricFamily("gr_queue_oldest_seconds", "How long the oldest of them waits.", labels=["host"])
    try:
        seen = {one.host: (one.count, one.oldest_s) for one in nudge.waiting()}
    except nudge.QueueError:
        return  # a gauge that is missing is noticed, a false 0 is not
    for host in sorted({settings.GR_HOST_ID, *seen}):
        waits, age_s = seen.get(host, (0, 0.0))
        count.add_metric([host], waits)
        oldest.add_metric([host], age_s)
    yield count
    yield oldest


def _targets() -> Iterator[GaugeMetricFamily]:
    labels = ["component", "environment"]
    age = GaugeMetricFamily("gr_backup_age_seconds", "Age of the last verified backup of a target.", labels=labels)
    locked = GaugeMetricFamily("gr_target_locked", "1 while nothing may start on a target.", labels=labels)
    now = timezone.now()
    verified = Backup.objects.filter(kind=Backup.Kind.BACKUP, verified_at__isnull=False, removed_at=None).order_by()
    last = dict(verified.values_list("target_id").annotate(Max("created_at")))
    for target in Target.objects.filter(retired=False).select_related("component", "environment"):
        place = [target.component.name, target.environment.name]
        locked.add_metric(place, int(target.locked))
        if target.pk in last:
            age.add_metric(place, (now - last[target.pk]).total_seconds())
    yield age
    yield locked
