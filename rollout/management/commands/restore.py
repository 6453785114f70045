"""manage.py restore: unpack a backup into an empty directory and prove every file."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from rollout import shell
from rollout.archive import reader, restore


class Command(shell.ActingCommand):
    """Restore into an empty place."""

    help = "Unpack a backup into an empty directory and prove that every file is equal to it. Never touches a target."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the backup and the place."""
        parser.add_argument("--backup", type=Path, required=True, metavar="ZIP")
        parser.add_argument("--into", type=Path, required=True, metavar="EMPTY_DIR")
        scratch = "a scratch database; once for each that the backup holds"
        parser.add_argument("--postgresql", action="append", default=[], metavar="URL", help=scratch)
        parser.add_argument("--json", action="store_true", help="print the proof as JSON, progress to stderr")

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore and prove."""
        say = self.progress if options["json"] else self.say
        try:
            proof = restore.rehearse_into(
                options["backup"],
                options["into"].resolve(),
                log=say,
                progress=reader.quiet,
                postgresql=tuple(options["postgresql"]),
            )
        except OSError as error:
            raise CommandError(f"{options['into']} cannot be written: {error}")
        if options["json"]:
            files = [{"path": one.path, "expected": one.expected, "found": one.found} for one in proof.files]
            self.say(json.dumps({"equal": proof.equal, "seconds": proof.seconds, "files": files}, indent=1))
        if not proof.equal:
            first = proof.differences[0]
            seen = f"{first.path}: expected {first.expected}, found {first.found}"
            raise CommandError(f"{len(proof.differences)} differences, the first is {seen}")
        if not options["json"]:
            self.say(f"{len(proof.files)} entries below {options['into']} are equal to the backup, nothing extra")
