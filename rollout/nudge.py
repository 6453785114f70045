"""Enqueues by dotted name: a message is only a hint that there is work, it may come twice or never.

Each host has a queue. What needs the files of a run goes to the run's host, the rest to any that has a worker.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Min
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.models import OrmQ, Task
from django_q.signing import BadSignature, SignedPackage
from django_q.tasks import async_task

from rollout import hosts
from rollout.models import Run, Target

REMEMBERED = timedelta(days=7)
# Work that needs the lock and the runner files of a run, which only the run's own host has.
OF_A_RUN = frozenset({"rollout.tasks.advance", "rollout.tasks.probe"})
OF_A_TARGET = frozenset({"rollout.tasks.see"})
# Work that looks at what stands on this host; its own pulse asks for it.
OF_THIS_HOST = frozenset({"rollout.tasks.observe", "rollout.tasks.sign"})
# A queue that nobody serves takes no more than this; whatever is left out pulse finds again.
FULL = 200


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The messages of a host that nobody has taken yet; `oldest` changes when the oldest is taken."""

    host: str
    count: int
    oldest: str
    oldest_s: float


class QueueError(OSError):
    """The queue does not answer; work that is under way goes on, and nothing new is taken up."""


def run(run_id: int) -> None:
    """Hint, once the transaction is committed, that a run can go on."""
    _soon("rollout.tasks.advance", run_id)


def probe(run_id: int) -> None:
    """Hint that the target should be asked how an unknown step of a run stands."""
    _soon("rollout.tasks.probe", run_id)


def see(target_id: int) -> None:
    """Hint that nobody knows what is live on a target."""
    _soon("rollout.tasks.see", target_id)


def observe() -> None:
    """Hint that a watch of this host is due."""
    _soon("rollout.tasks.observe")


def deliver() -> None:
    """Hint that a notice is due."""
    _soon("rollout.tasks.deliver")


def sweep() -> None:
    """Hint that something may have expired."""
    _soon("rollout.tasks.sweep")


def stamp() -> None:
    """Hint that a checkpoint of the audit should be stamped by the authority that is named."""
    _soon("rollout.tasks.stamp")


def sign() -> None:
    """Ask the workers of this host for a sign of life."""
    _soon("rollout.tasks.sign")


def host_lost(host: str, counter: int) -> None:
    """Hint that a host has been silent since its pulse counted so far."""
    _soon("rollout.tasks.host_lost", host, counter)


def check(release_id: int) -> None:
    """Hint that GitHub should be asked about the links of a release."""
    _soon("rollout.tasks.check", release_id)


def publish(rollout_id: int) -> None:
    """Hint that GitHub should be told how a sign-off stands."""
    _soon("rollout.tasks.publish", rollout_id)


def merge(rollout_id: int) -> None:
    """Hint that a person asked for the pull request of a rollout to be merged."""
    _soon("rollout.tasks.merge", rollout_id)


def waiting() -> list[Waiting]:
    """Return what waits in the queue of every host, but for the empty ones; raise QueueError."""
    found = _in_redis() if settings.GR_REDIS_URL else _in_database()
    return sorted(found, key=lambda one: one.host)


def drop(host: str) -> None:
    """Drop the messages of a host: they are hints, and pulse gives again what still matters."""
    get_broker(hosts.queue_of(host)).purge_queue()


def adopt() -> None:
    """Take over the messages of the one queue that there was before each host had its own."""
    if not settings.GR_REDIS_URL:
        name = settings.Q_CLUSTER["name"]
        OrmQ.objects.filter(key=name).update(key=hosts.queue_of(settings.GR_HOST_ID))


def _in_database() -> Iterator[Waiting]:
    now = timezone.now()
    # a message that was taken carries the moment of its retry in `lock`, one that waits that of its arrival
    rows = OrmQ.objects.filter(lock__lte=now).order_by().values("key").annotate(Count("pk"), Min("pk"), Min("lock"))
    for row in rows:
        yield Waiting(
            host=row["key"].removeprefix(hosts.QUEUES),
            count=row["pk__count"],
            oldest=str(row["pk__min"]),
            oldest_s=(now - row["lock__min"]).total_seconds(),
        )


def _in_redis() -> Iterator[Waiting]:
    for host in hosts.known():
        broker = get_broker(hosts.queue_of(host))
        try:
            first, count = broker.connection.lindex(broker.list_key, 0), int(broker.queue_size())
        except Exception as error:  # the client is optional, so its errors cannot be named here
            raise QueueError(f"Redis does not answer: {type(error).__name__}")
        if first is not None:
            message = _read(first)
            age_s = (timezone.now() - message["started"]).total_seconds() if message else 0.0
            yield Waiting(host=host, count=count, oldest=message.get("id", ""), oldest_s=age_s)


def _read(package: bytes) -> dict[str, Any]:
    """Return a message; nothing of one that was signed with another key, which the worker drops."""
    try:
        return dict(SignedPackage.loads(package))
    except BadSignature:
        return {}


def forget(now: datetime) -> None:
    """Drop what the queue remembers of tasks that ended long ago; failures have no limit of its own."""
    Task.objects.filter(stopped__lt=now - REMEMBERED).delete()


def _soon(task: str, *args: int | str) -> None:
    # robust: the change is committed, and a hint that cannot be left is one that pulse gives again; no partial, because
    # Django names what failed, and a partial has no name
    transaction.on_commit(lambda: _send(task, *args), robust=True)


def _send(task: str, *args: int | str) -> None:
    broker: Broker = get_broker(hosts.queue_of(_host_for(task, *args)))
    if broker.queue_size() < FULL:
        async_task(task, *args, broker=broker)


def _host_for(task: str, *args: int | str) -> str:
    home: str = settings.GR_HOST_ID
    if task in OF_A_RUN:
        return Run.objects.filter(pk=args[0]).values_list("host_id", flat=True).first() or home
    if task in OF_A_TARGET:
        return Target.objects.filter(pk=args[0]).values_list("host_id", flat=True).first() or home
    return home if task in OF_THIS_HOST else hosts.for_any()
