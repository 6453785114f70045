"""What takes the place of a command of Django's that would be a second door."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class RefusedCommand(BaseCommand):
    """Answers whatever Django's command of this name would take, and does nothing; `instead` says what to do."""

    instead: str

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what Django's command takes, to answer it too."""
        parser.add_argument("anything", nargs="*")

    def run_from_argv(self, argv: list[str]) -> None:
        """Drop the options: the answer is the same."""
        super().run_from_argv([one for one in argv if not one.startswith("--")])

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse."""
        raise CommandError(self.instead)
