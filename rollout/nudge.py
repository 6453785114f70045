"""Enqueues by dotted name: a message is only a hint that there is work, it may come twice or never."""

from functools import partial

from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.tasks import async_task


def run(run_id: int) -> None:
    """Hint, once the transaction is committed, that a run can go on."""
    _soon("rollout.tasks.advance", run_id)


def observe() -> None:
    """Hint that a watch is due."""
    _soon("rollout.tasks.observe")


def deliver() -> None:
    """Hint that a notice is due."""
    _soon("rollout.tasks.deliver")


def sweep() -> None:
    """Hint that something may have expired."""
    _soon("rollout.tasks.sweep")


def check(release_id: int) -> None:
    """Hint that GitHub should be asked about the links of a release."""
    _soon("rollout.tasks.check", release_id)


def publish(rollout_id: int) -> None:
    """Hint that GitHub should be told how a sign-off stands."""
    _soon("rollout.tasks.publish", rollout_id)


def merge(rollout_id: int) -> None:
    """Hint that a person asked for the pull request of a rollout to be merged."""
    _soon("rollout.tasks.merge", rollout_id)


def waiting() -> int:
    """Return how many messages nobody has taken yet."""
    return int(get_broker().queue_size())


def oldest_s() -> float:
    """Return how long (seconds) the oldest message waits that nobody has taken; 0 when none waits."""
    now = timezone.now()
    # a message that was taken carries the moment of its retry in `lock`, one that waits that of its arrival
    first = OrmQ.objects.filter(lock__lte=now).order_by("lock").values_list("lock", flat=True).first()
    return (now - first).total_seconds() if first else 0.0


def _soon(task: str, *args: int) -> None:
    # robust: the change is committed, and a hint that cannot be left is one that pulse gives again
    transaction.on_commit(partial(async_task, task, *args), robust=True)
