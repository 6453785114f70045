"""Print the link that creates the first two admins."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from approvals.bootstrap import one_time_link


class Command(BaseCommand):
    """The door to bootstrap.one_time_link for up.py and for a shell."""

    help = "Print a link, valid for one hour, that creates the first two admins; nothing once there is any user."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --base-url."""
        text = "where the browser finds the server (default: GR_BASE_URL)"
        parser.add_argument("--base-url", default=settings.GR_BASE_URL, help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the link, or nothing."""
        if link := one_time_link(options["base_url"], timezone.now()):
            self.stdout.write(link)
