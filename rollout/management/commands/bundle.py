"""manage.py bundle: the auditor's zip of one rollout."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from monitoring import audit, storage
from rollout import bundle, shell, transitions


class Command(shell.ActingCommand):
    """Bundle a rollout."""

    help = (
        "Write one zip with all that proves a rollout: manifest, decisions, audit with its verifier, evidence, samples."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the rollout and the file."""
        parser.add_argument("--rollout", type=int, required=True, metavar="ID")
        parser.add_argument("--output", type=Path, metavar="ZIP", help="default: a new file in the working directory")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, audit that, and print its sha256 as sha256sum would."""
        now = timezone.now()
        rollout = shell.rollout_of(options["rollout"])
        path: Path = options["output"] or Path(bundle.default_name(rollout))
        try:
            count = bundle.write(rollout, path, now=now)
        except FileExistsError:
            raise CommandError(f"{path} exists; nothing was written. Name another with --output")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}")
        sha256 = storage.sha256_of(path)
        with transaction.atomic():
            data = {"sha256": sha256, "files": count}
            subject = transitions.subject_of(rollout)
            audit.append(action="rollout.bundled", by=shell.operating_user(), subject=subject, data=data, now=now)
        self.say(f"{sha256}  {path}")
