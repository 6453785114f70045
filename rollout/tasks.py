"""Doors for the queue: ids in, one call, nothing else; any of them may come twice or never."""

from django.utils import timezone

from monitoring import notices, watcher
from rollout import actions, alarms, engine, heartbeat, nudge, publishing
from rollout.models import Release, Rollout, Run


def advance(run_id: int) -> None:
    """Take a run as far as it goes now."""
    heartbeat.beat("worker")
    try:
        engine.advance(run_id)
    except Exception as error:
        alarms.cannot_go_on(run_id, error, now=timezone.now())
        raise


def observe() -> None:
    """Look at what is due, and nudge the runs whose watch was decided."""
    heartbeat.beat("worker")
    decided = watcher.observe_due(timezone.now())
    for run_id in Run.objects.filter(watch__in=decided).values_list("pk", flat=True):
        nudge.run(run_id)


def deliver() -> None:
    """Send the notices that are due."""
    heartbeat.beat("worker")
    notices.deliver_due(timezone.now())


def sweep() -> None:
    """Close what has expired."""
    heartbeat.beat("worker")
    actions.expire_due(timezone.now())


def check(release_id: int) -> None:
    """Ask GitHub about the links of a release and its branch."""
    heartbeat.beat("worker")
    publishing.check_release(Release.objects.select_related("component").get(pk=release_id), now=timezone.now())


def publish(rollout_id: int) -> None:
    """Tell GitHub how a sign-off stands."""
    heartbeat.beat("worker")
    publishing.publish(Rollout.objects.with_places().get(pk=rollout_id), now=timezone.now())


def merge(rollout_id: int) -> None:
    """Merge the pull request of a rollout, if everything holds."""
    heartbeat.beat("worker")
    publishing.merge(Rollout.objects.with_places().get(pk=rollout_id), now=timezone.now())
