"""manage.py bundle: the auditor's zip of one rollout, or of a period."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from monitoring import storage
from rollout import bundle, reads, shell
from rollout.population import BASES, Period


class Command(shell.ActingCommand):
    """Bundle a rollout, or all rollouts of a period."""

    help = (
        "Write one zip with all that proves a rollout, or every rollout of a period: manifests, decisions with their "
        "passkeys' assertions, the audit, samples, logs, notices, incidents, and verify.py, which checks it elsewhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the rollout or the period, and the file."""
        of = parser.add_mutually_exclusive_group(required=True)
        of.add_argument("--rollout", type=int, metavar="ID")
        of.add_argument("--since", type=_day, metavar="DAY", help="first day of a period, UTC, as 2026-01-31")
        parser.add_argument("--until", type=_day, metavar="DAY", help="its last day (default: today)")
        parser.add_argument("--basis", choices=tuple(BASES), default="requested", help="what was requested, or started")
        parser.add_argument("--component", default="", help="of one component")
        parser.add_argument("--env", default="", dest="environment", help="of one environment")
        told = "put the files of evidence of a period inside, too; of one rollout they always are"
        parser.add_argument("--artifacts", action="store_true", help=told)
        parser.add_argument("--output", type=Path, metavar="ZIP", help="default: a new file in the working directory")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, audit that, and print its sha256 as sha256sum would."""
        now = timezone.now()
        scope = _scope(options, now)
        path: Path = options["output"] or Path(scope.name)
        try:
            with storage.replacing(path, over=False) as out:
                written = bundle.write(scope, out, now=now)
        except FileExistsError:
            raise CommandError(f"{path} exists; nothing was written. Name another with --output")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}")
        sha256 = storage.sha256_of(path)
        reads.bundle(scope, written, sha256, by=shell.operating_user(), now=now)
        self.progress(f"{written.rollouts} rollouts, {written.files} files")
        self.say(f"{sha256}  {path}")


def _scope(options: dict[str, Any], now: datetime) -> bundle.Scope:
    if options["rollout"] is not None:
        return bundle.of_rollout(shell.rollout_of(options["rollout"]))
    last: date = options["until"] or now.astimezone(UTC).date()
    if last < options["since"]:
        raise CommandError("the period ends before it begins")
    period = Period(
        since=datetime.combine(options["since"], time(), UTC),
        until=datetime.combine(last, time(), UTC) + timedelta(days=1),
        basis=options["basis"],
        component=options["component"],
        environment=options["environment"],
    )
    return bundle.of_period(period, with_files=options["artifacts"])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a day as 2026-01-31, not {text!r}") from None
