"""manage.py load_component FILE: validate a component.toml, show the difference, load it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from approvals import ledger
from rollout import access, loading, shell
from rollout.component import ComponentError
from rollout.loading import Loaded

WORDS = {
    "first": "loaded for the first time",
    "same": "is in force already",
    "live": "loaded and in force",
    "pending": "waits: it changes policy, evidence, gates, routes or places, or what is in force was edited in the "
    "database; another admin confirms it in the browser",
}


class Command(shell.ActingCommand):
    """Load a component."""

    help = (
        "Validate a component.toml, show what changes, and load it. Exit 1 names the key that is wrong. The first load "
        "and an unchanged file need no account; a change needs an admin (--as)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, who loads it, and whether it is only tried."""
        parser.add_argument("file", type=Path, help="the component.toml; its gates file and runbooks stand beside it")
        parser.add_argument("--check", action="store_true", help="validate and show the difference, load nothing")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the file and say what became of it."""
        now = timezone.now()
        person = shell.operator(options, now=now) if options["as_user"] else None
        by = person.actor if person else shell.operating_user()
        try:
            with transaction.atomic():
                done = loading.load(options["file"], by=by, now=now)
                if done.difference and done.state != "first":
                    self.say(done.difference)
                if options["check"]:
                    transaction.set_rollback(True)
                elif done.state in ("live", "pending"):
                    _require_admin(person, done)
        except ComponentError as error:
            raise CommandError(f"{options['file']}: {error}\nNothing was loaded.")
        spec = done.configuration.parsed()
        if why := loading.doubt(spec, now=now):
            self.say(f"warning: {why}")
        words = f"would be: {WORDS[done.state]}; nothing was loaded" if options["check"] else WORDS[done.state]
        self.say(f"{done.configuration.component.name} {done.configuration.sha256[:12]} {words}")


def _require_admin(person: shell.Operator | None, done: Loaded) -> None:
    """Raise, and so undo the load, unless an admin changes what is in force."""
    if person is None:
        raise CommandError("this changes a component that is loaded already: say who does it with --as USER (an admin)")
    if access.ADMIN not in ledger.current_roles(person.user, done.configuration.component.name):
        raise PermissionDenied(f"This needs the role admin; {person.user.get_username()} does not have it.")
