"""manage.py restore_self: put Guarded Rollout itself back from an archive of backup_self."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from rollout import own_restore, shell


class Command(shell.ActingCommand):
    """Restore this installation."""

    help = (
        "Verify an archive of backup_self and restore database, files and keys from it into this installation, which "
        "must be stopped. What was running then is parked, never run again; every target is locked."
    )
    requires_system_checks: list[str] = []  # an empty installation has no tables that they could look at
    while_restoring = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("archive", type=Path, metavar="FILE.zip")
        parser.add_argument("--replace", action="store_true", help="put aside what is here; without it, only if empty")

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore it and say what has to be done now."""
        try:
            report = own_restore.restore(
                options["archive"],
                replace=options["replace"],
                by=shell.operating_user(),
                now=timezone.now(),
                say=self.progress,
            )
        except OSError as error:
            raise CommandError(f"the restore stopped: {error}; nothing starts before it is run again and ends well")
        self.say(f"restored; the audit holds, {report.entries} entries. To do:")
        for line in report.to_do:
            self.say(f"- {line}")
