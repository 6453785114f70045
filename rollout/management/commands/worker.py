"""manage.py worker: run the queue's cluster until TERM; exit 3 asks the supervisor for a new one."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from rollout import ballast, boot, checks, worker


class Command(BaseCommand):
    """Run background tasks."""

    help = "Run background tasks until TERM. Exit 3: one of its processes died; start it again."

    requires_system_checks = (checks.INSTALLATION,)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster."""
        ballast.rescued(boot.assert_ready)
        ballast.restore()
        sys.exit(worker.run())
