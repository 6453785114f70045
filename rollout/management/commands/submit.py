"""manage.py submit: prove a rollout, and ask for sign-off when it passes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from rollout import actions, driving, publishing, shell, states
from rollout.states import RolloutState as R


class Command(shell.ActingCommand):
    """Submit a rollout."""

    help = "Run the validate steps of a draft (backup, rehearsal, dry runs) and open its sign-off when they pass."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the rollout."""
        parser.add_argument("--rollout", type=int, required=True, metavar="ID")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Submit it and follow the validate run to its end."""
        now = timezone.now()
        rollout = shell.rollout_of(options["rollout"])
        person = shell.operator(options, now=now)
        publishing.check_release(rollout.release, now=now)  # here, because perhaps no worker is up to do it
        run = actions.submit(rollout, user=person.user, by=person.actor, now=now)
        driving.drive(run, self.say)
        rollout.refresh_from_db()
        if rollout.state not in (R.WAITING, R.APPROVED):
            raise CommandError(f"rollout {rollout.pk} is {states.label(rollout.state)}: {rollout.state_why}")
        self.say(f"rollout {rollout.pk} waits for its sign-off over digest {rollout.digest}")
