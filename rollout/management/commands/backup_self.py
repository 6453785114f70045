"""manage.py backup_self: back up Guarded Rollout itself, while it runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from rollout import own_backup, shell


class Command(shell.ActingCommand):
    """Back up this installation."""

    help = (
        "Write database, artifacts, attachments, step outputs and keys into one new zip file, read it back whole, and "
        "print its sha256. Safe while everything runs. The file holds secrets: it is 0600, keep it so."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, and what goes in."""
        parser.add_argument("dest", type=Path, metavar="DEST.zip")
        parser.add_argument("--without-keys", action="store_true", help="leave out .env and the files of *_FILE")
        large = "also the backups of components, which are large; otherwise only their names and sha256s"
        parser.add_argument("--with-backups", action="store_true", help=large)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it and print its sha256."""
        try:
            archive = own_backup.take(
                options["dest"],
                keys=not options["without_keys"],
                with_backups=options["with_backups"],
                by=shell.operating_user(),
                now=timezone.now(),
                say=self.progress,
            )
        except OSError as error:
            raise CommandError(f"no backup was written: {error}")
        self.progress(f"{len(archive.members)} members, {archive.size} bytes, read back whole")
        self.say(f"{archive.sha256}  {options['dest']}")
