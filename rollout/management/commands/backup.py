"""manage.py backup: take a verified backup of a target now."""

import json
import shutil
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.utils import timezone

from rollout import backups, shell
from rollout.drivers import DRIVERS
from rollout.models import Target


class Command(shell.ActingCommand):
    """Take a backup."""

    help = (
        "Take a backup under the target's lock, read it back whole and register it. "
        "Without --as the operating system's user acts, so that a timer can do it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the target."""
        shell.add_place(parser)
        parser.add_argument("--dry-run", action="store_true", help="say what would be saved")
        parser.add_argument("--json", action="store_true", help="print the result as JSON, progress to stderr")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Take it and print its path and sha256."""
        now = timezone.now()
        target = shell.target_of(options)
        if options["dry_run"]:
            self._dry_run(target)
            return
        by = shell.operator(options, now=now).actor if options["as_user"] else shell.operating_user()
        backup = backups.take(target, by=by, now=now, say=self.progress if options["json"] else self.say)
        told = {"path": backup.path, "sha256": backup.sha256, "size": backup.size, "release": backup.release_version}
        self.say(json.dumps(told) if options["json"] else f"{backup.sha256}  {backup.path}")

    def _dry_run(self, target: Target) -> None:
        spec = target.spec
        live = DRIVERS[spec.driver].live(spec)
        self.say(f"{target} ({spec.root}) would be saved into {settings.GR_BACKUPS}:")
        for kind, names in (
            ("live release", (live or "none: current is not a link to a release directory",)),
            ("directory", spec.directories),
            ("SQLite database", spec.sqlite),
            ("PostgreSQL", tuple("a dump" for _ in spec.postgresql)),
        ):
            for name in names:
                self.say(f"  {kind}: {name}")
        place = settings.GR_BACKUPS if settings.GR_BACKUPS.exists() else settings.GR_VAR
        self.say(f"{shutil.disk_usage(place).free} bytes are free there. Nothing was done.")
