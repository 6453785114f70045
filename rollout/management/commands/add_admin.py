"""manage.py add_admin: make an account admin while too few admins are left to do it in the browser."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from approvals import bootstrap
from rollout import shell


class Command(shell.ActingCommand):
    """Add an admin."""

    help = (
        "Make an account admin while there are fewer than three: with two, one of whom lost the password, nobody could "
        "confirm anything. Both type their passwords: the admin (--as) and the one who becomes it, in this order."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take both people, and why."""
        parser.add_argument("user", metavar="USER", help="the account that becomes admin; its password is asked too")
        parser.add_argument("--why", required=True, help="kept in the history")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask both, then do it."""
        if not options["as_user"] or options["as_user"] == options["user"]:
            raise CommandError("two people are needed: the admin as --as ADMIN, and USER, who becomes admin")
        now = timezone.now()
        admin = shell.operator(options, now=now)
        second = shell.operator({**options, "as_user": options["user"]}, now=now)
        bootstrap.add_admin(second.user, beside=admin.user, why=options["why"], by=admin.actor, now=now)
        self.say(f"{second.user.get_username()} is admin now. It was told and audited.")
