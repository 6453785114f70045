"""manage.py forget_host: drop the signs of life and the messages of a host that is gone for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from rollout import heartbeat, hosts, nudge, shell


class Command(shell.ActingCommand):
    """Forget a host."""

    help = "Forget a host that is gone for good: its signs of life and its messages. Refused while anything needs it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take its name."""
        parser.add_argument("host", help="its GR_HOST_ID")

    def handle(self, *args: Any, **options: Any) -> None:
        """Forget it, unless a target or a run needs it."""
        host: str = options["host"]
        if host in hosts.needed():
            raise CommandError(f"host {host} has targets or runs: give its environments another runs_on, end its runs")
        heartbeat.forget(host)
        nudge.drop(host)
        self.say(f"host {host} is forgotten; it is known again as soon as it gives a sign of life")
