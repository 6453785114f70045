"""Runs a command of an installation with a queue that misbehaves: `python -m tests.faults.bad_queue MODE worker`.

`lose`: what is sent never arrives. `late`: it arrives an hour later. `tenfold`: it arrives ten times, out of order.
"""

import random
import sys
from datetime import timedelta
from typing import Any

import django

LATE = timedelta(hours=1)
COPIES, WITHIN_S = 10, 2.0


def spoil(mode: str) -> None:
    """Let every message that this process and its children send from now on meet its fate."""
    from django.utils import timezone
    from django_q.brokers import orm

    def arrive(broker: Any, task: str, *, after: timedelta) -> int:
        return int(broker.get_connection().create(key=broker.list_key, payload=task, lock=timezone.now() + after).pk)

    def lose(broker: Any, task: str) -> int:
        return 0

    def late(broker: Any, task: str) -> int:
        return arrive(broker, task, after=LATE)

    def tenfold(broker: Any, task: str) -> int:
        waits = [random.uniform(0, WITHIN_S) for _ in range(COPIES)]
        return [arrive(broker, task, after=timedelta(seconds=wait)) for wait in waits][-1]

    orm.ORM.enqueue = {"lose": lose, "late": late, "tenfold": tenfold}[mode]


if __name__ == "__main__":
    django.setup()
    spoil(sys.argv[1])
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[2:]])
