"""Who acts when a command is typed in a shell, and how a refusal becomes a line on stderr and exit code 1."""

import getpass
import sys
from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from approvals import stepup
from approvals.actors import signs_as
from approvals.ledger import Refused
from monitoring.audit import Actor
from rollout import alive, ballast, boot
from rollout.archive.errors import BackupError
from rollout.config_reader import ComponentError
from rollout.models import Component, Rollout, Target
from rollout.transitions import ConflictError

REFUSALS = (Refused, ConflictError, PermissionDenied, BackupError, ComponentError, alive.RestoringError)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person who proved at this terminal who he is; `actor` is how the audit names him."""

    user: User
    actor: Actor
    proved_at: datetime


class ActingCommand(BaseCommand):
    """A command that acts on rollouts: exit 0 done, 1 refused or failed with the reason on stderr, 2 wrong usage."""

    # whether it is run while the installation is restored; any other keeps a restore from beginning
    while_restoring = False

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; a refusal is one sentence, no traceback."""
        try:
            if self.while_restoring:
                return super().execute(*args, **options)
            with alive.holding():
                boot.assert_whole()
                return super().execute(*args, **options)
        except REFUSALS as refusal:
            raise CommandError(str(refusal))
        except (OSError, OperationalError) as error:
            if not ballast.is_full(error):
                raise
            raise CommandError(f"the disk is full; make room and run it again ({error})")

    def say(self, line: str) -> None:
        """Print a line at once, also into a pipe."""
        self.stdout.write(line)
        self.stdout.flush()

    def progress(self, line: str) -> None:
        """Print a line of progress to stderr, so that standard output holds the result only."""
        self.stderr.write(line, self.style.NOTICE)
        self.stderr.flush()


def operating_user() -> Actor:
    """Return the actor of a command that needs no signed-in person: the operating system's user."""
    name = os_user()
    return Actor(id=None, name=name, via="shell", os_user=name)


def os_user() -> str:
    """Return the name of the operating system's user."""
    return getpass.getuser()


def add_place(parser: ArgumentParser) -> None:
    """Take the component and the environment."""
    parser.add_argument("--component", required=True, help="name of the component, as in its component.toml")
    parser.add_argument("--environment", "--env", required=True, dest="environment", metavar="ENV")


def add_operator(parser: ArgumentParser) -> None:
    """Take who acts; the password is asked on the terminal."""
    who = "account that acts (default: the one named like the operating system's user); its password is asked"
    parser.add_argument("--as", dest="as_user", metavar="USER", help=who)
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def target_of(options: dict[str, Any]) -> Target:
    """Return the target that `--component` and `--env` name; raise CommandError, which lists those that there are."""
    component = Component.objects.filter(name=options["component"]).first()
    if component is None:
        known = ", ".join(Component.objects.values_list("name", flat=True)) or "none; load one with load_component"
        raise CommandError(f"there is no component {options['component']!r}; known are: {known}")
    targets = Target.objects.select_related("component", "environment").filter(component=component, retired=False)
    target = targets.filter(environment__name=options["environment"]).first()
    if target is None:
        known = ", ".join(targets.values_list("environment__name", flat=True))
        raise CommandError(f"{component.name} has no environment {options['environment']!r}; known are: {known}")
    return target


def rollout_of(number: int) -> Rollout:
    """Return a rollout by its number; raise CommandError when there is none."""
    rollout = Rollout.objects.with_places().filter(pk=number).first()
    if rollout is None:
        raise CommandError(f"there is no rollout {number}")
    return rollout


def operator(options: dict[str, Any], *, now: datetime) -> Operator:
    """Return the person who types, after his password was checked; raise CommandError when he does not prove it."""
    name = options.get("as_user") or os_user()
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise CommandError(f"there is no active account {name!r}; say who acts with --as USER")
    actor = Actor(id=user.pk, name=user.get_username(), via="shell", os_user=os_user(), printed=signs_as(user))
    if not stepup.check(user, _password(name, from_stdin=options["password_stdin"]), by=actor, now=now):
        until = stepup.wait_until(user.pk, now=now)
        wait = f"; too many tries, again after {until:%H:%M:%S} UTC" if until else ""
        raise CommandError(f"that is not the password of {name}{wait}. Nothing was done.")
    return Operator(user=user, actor=actor, proved_at=now)


def _password(name: str, *, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError(f"there is no terminal to ask for the password of {name}; give it with --password-stdin")
    return getpass.getpass(f"Password of {name}: ")


def usage_error(sentence: str) -> CommandError:
    """Return the error of a wrong usage, exit code 2."""
    return CommandError(sentence, returncode=2)
