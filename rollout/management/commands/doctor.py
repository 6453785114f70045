"""manage.py doctor: what is well with this installation, what is not, and what to do."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from rollout import doctor, shell


class Command(shell.ActingCommand):
    """Examine the installation."""

    help = "Look at database, processes, disk, components, notices and GitHub. Exit 1 when something is bad."
    requires_system_checks: list[str] = []
    while_restoring = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how to print."""
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a finding."""
        found = list(doctor.examine(now=timezone.now()))
        if options["json"]:
            self.say(json.dumps([asdict(one) for one in found], indent=1))
        else:
            for one in found:
                self.say(f"{one.level:<5}{one.what}{f' -> {one.advice}' if one.advice else ''}")
        bad = sum(one.level == "bad" for one in found)
        if bad:
            raise CommandError(f"{bad} of {len(found)} are bad")
