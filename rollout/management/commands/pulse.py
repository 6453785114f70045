"""manage.py pulse: find what is due or lost and nudge, until TERM."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from rollout import ballast, boot, checks, pulse


class Command(BaseCommand):
    """Run the clock."""

    help = "Find due and lost work and nudge the workers, until TERM or INT. May be restarted at any time."

    requires_system_checks = (checks.INSTALLATION,)

    def handle(self, *args: Any, **options: Any) -> None:
        """Tick until a signal comes."""
        ballast.rescued(boot.assert_ready)
        stop = Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: stop.set())
        pulse.run_for_ever(stop.is_set)
