"""`manage.py simulate`: what a watch would have done, in virtual time."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from monitoring.gates import GateProfile, from_config
from monitoring.simulation import FaultError, SimulatedPoll, parse, possible, simulate
from monitoring.wording import figure

EXAMPLE = "examples/dhash/quality-gates-config.json"


class Command(BaseCommand):
    """Run a watch in virtual time through the code that judges real ones, and print what would have happened."""

    help = "Run a watch in virtual time through the code that judges real ones, and print what would have happened."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--config", type=Path, default=Path(settings.BASE_DIR) / EXAMPLE, help="a gates file (JSON)"
        )
        parser.add_argument("--profile", default="production", help="a profile of the file")
        parser.add_argument(
            "--fault", action="append", default=[], metavar="FAULT", help="as p95=3000ms@12m or down=45s@8m; repeatable"
        )
        parser.add_argument("--seed", type=int, default=1, help="of the noise on healthy values")
        parser.add_argument("--json", action="store_true", help="print the whole report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the report; exit 0 when a window was simulated, 2 on wrong usage."""
        profile = _profile(options["config"], options["profile"])
        try:
            faults = [parse(text, profile) for text in options["fault"]]
            report = simulate(profile, faults, seed=options["seed"])
        except FaultError as error:
            raise CommandError(str(error), returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.to_dict(), ensure_ascii=False, indent=1))
            return
        self.stdout.write("\n".join([*map(_line, report.polls), "", *report.sentences]))
        if not faults:
            self.stdout.write(f"No fault was asked for. {possible(profile)}")


def _profile(path: Path, name: str) -> GateProfile:
    try:
        return from_config(json.loads(path.read_text(encoding="utf-8")), name)
    except OSError as error:
        raise CommandError(f"{path}: expected a readable gates file, found: {error.strerror}", returncode=2) from error
    except ValueError as error:  # not JSON, or a ProfileError
        raise CommandError(f"{path}: {error}", returncode=2) from error


def _line(poll: SimulatedPoll) -> str:
    minutes, seconds = divmod(poll.at_s, 60)
    values = "  ".join(f"{name} {figure(value)}" for name, value in poll.values.items() if value is not None)
    return f"{minutes:3.0f}:{seconds:04.1f}  {poll.state:<9}  {values or 'no values'}  | {poll.next_reason}"
