"""Doors for the queue: ids in, one call, nothing else; any of them may come twice or never."""

import logging
from functools import partial

from django.utils import timezone

from approvals import changes
from monitoring import notices, stamping, watcher
from monitoring.rfc3161 import StampError
from rollout import (
    actions,
    alarms,
    ballast,
    engine,
    glass_review,
    heartbeat,
    hosts,
    housekeeping,
    in_force,
    leftovers,
    losing,
    nudge,
    probing,
    publishing,
    second_admin,
    to_light,
    undone,
)
from rollout.models import Release, Rollout, Run

log = logging.getLogger(__name__)


def advance(run_id: int) -> None:
    """Take a run as far as it goes now."""
    try:
        ballast.rescued(partial(undone.again, partial(_advance, run_id)))
    except Exception as error:
        alarms.cannot_go_on(run_id, error, now=timezone.now())
        raise


def _advance(run_id: int) -> None:
    _alive()
    engine.advance(run_id)
    leftovers.cancel(run_id)


def sign() -> None:
    """Do nothing but give a sign of life."""
    _alive()


def probe(run_id: int) -> None:
    """Ask the target how an unknown step of a run stands."""
    _alive()
    probing.look(run_id, timezone.now())


def see(target_id: int) -> None:
    """Note what is live on a target of this host."""
    _alive()
    in_force.see(target_id)


def host_lost(host: str, counter: int) -> None:
    """Give up the runs of a host whose pulse has counted no further."""
    _alive()
    losing.give_up(host, counter, now=timezone.now())


def observe() -> None:
    """Look at what is due on this host, and nudge the runs whose watch was decided."""
    ballast.rescued(_observe)


def _observe() -> None:
    _alive()
    decided = watcher.observe_due(timezone.now(), leave=hosts.watches_elsewhere())
    for run_id in Run.objects.filter(watch__in=decided).values_list("pk", flat=True):
        nudge.run(run_id)


def deliver() -> None:
    """Send the notices that are due."""
    _alive()
    notices.deliver_due(timezone.now())


def stamp() -> None:
    """Have the newest checkpoint of the audit stamped by the authority that is named."""
    _alive()
    now = timezone.now()
    if not stamping.is_due(now):
        return  # another host was faster
    try:
        log.info(stamping.ask(now))
    except (StampError, OSError) as error:  # it is asked again, and doctor tells when it goes on for long
        log.error("%s", error)


def sweep() -> None:
    """Close what has expired, and bring back what rows hide."""
    ballast.restore()
    _alive()
    to_light.look(timezone.now())
    try:
        actions.expire_due(timezone.now())
        glass_review.remind_due(timezone.now())
        changes.expire_due(timezone.now())
        second_admin.expire_due(timezone.now())
    finally:  # what cannot expire must not keep the house from being kept
        housekeeping.due(timezone.now())


def check(release_id: int) -> None:
    """Ask GitHub about the links of a release and its branch."""
    _alive()
    publishing.check_release(Release.objects.select_related("component").get(pk=release_id), now=timezone.now())


def publish(rollout_id: int) -> None:
    """Tell GitHub how a sign-off stands."""
    _alive()
    publishing.publish(Rollout.objects.with_places().get(pk=rollout_id), now=timezone.now())


def merge(rollout_id: int) -> None:
    """Merge the pull request of a rollout, if everything holds."""
    _alive()
    publishing.merge(Rollout.objects.with_places().get(pk=rollout_id), now=timezone.now())


def _alive() -> None:
    """Show from inside a task that the workers of this host work."""
    heartbeat.beat(heartbeat.of("worker"))
