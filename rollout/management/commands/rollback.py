"""manage.py rollback: bring a target back to a verified backup, with or without workers."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from rollout import actions, as_told, attempted, backups, driving, opening, plan, preview, shell, states
from rollout.models import Backup, Rollout, Run, Target
from rollout.states import RolloutState as R


class Command(shell.ActingCommand):
    """Roll a target back."""

    help = (
        "Undo the newest rollout of a target: stop writers, keep an undo copy, restore code, database and "
        "configuration from the verified backup, prove it, start, check. Needs no web server and no worker."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the target, the backup and the reason."""
        shell.add_place(parser)
        parser.add_argument("--backup", type=Path, metavar="ZIP", help="default: the one taken before the deploy")
        newest = "default: the newest that changed the target; name an older one when that is rolled back already"
        parser.add_argument("--rollout", type=int, metavar="ID", help=newest)
        parser.add_argument("--reason", default="", help="why, in a sentence; it stands in the audit")
        parser.add_argument("--dry-run", action="store_true", help="verify the backup and say what would be undone")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine the backup before anything else, then roll back and follow it to its end."""
        now = timezone.now()
        target = shell.target_of(options)
        path = options["backup"]
        examined = backups.examine(target, path, now=now) if path else None
        rollout = rollout_to_undo(target, options["rollout"])
        backup = examined or _own_backup(rollout, target)
        self.say(
            f"{backup}: intact, {backup.members} members, release {backup.release_version}, sha256 {backup.sha256}"
        )
        if options["dry_run"]:
            self._dry_run(rollout, backup)
            return
        person = shell.operator(options, now=now)
        why = options["reason"] or f"rolled back from a shell to {backup}"
        run = actions.roll_back(
            rollout,
            user=person.user,
            why=why,
            by=person.actor,
            now=now,
            backup=backups.adopt(backup, by=person.actor, now=now),
        )
        driving.drive(run, self.say)
        rollout.refresh_from_db()
        if rollout.state != R.ROLLED_BACK:
            raise CommandError(f"rollout {rollout.pk} is {states.label(rollout.state)}: {rollout.state_why}")
        self.say(f"{target} is back at {backup.release_version}; it is locked until somebody unlocks it with a reason")

    def _dry_run(self, rollout: Rollout, backup: Backup) -> None:
        undo = preview.undo_of(rollout, backup)
        if undo is not None:
            self.say(undo.sentence)
            for database, table, count in undo.rows:
                self.say(f"  {database} {table}: {count:+d} rows since the backup")
            if undo.problem:
                self.say(f"  {undo.problem}")
        steps = plan.rollback(backup.release_version)
        for number, step in enumerate(steps, start=1):
            self.say(f"  [{number}/{len(steps)}] {step.title}{' (changes the target)' if step.effect else ''}")
        self.say("Nothing was done.")


def rollout_to_undo(target: Target, number: int | None) -> Rollout:
    """Return the rollout asked for, else the newest that changed a target; raise CommandError when it cannot be undone.

    Never goes on to an older one by itself: a command that is typed twice must not undo two releases.
    """
    deploys = Run.objects.filter(target=target, kind=Run.Kind.DEPLOY)
    wanted = {"rollout_id": number} if number else {"steps__effect": True, "steps__attempt__gt": 0}
    newest = deploys.filter(**wanted).order_by("-pk").first()
    if newest is None:
        raise CommandError(f"nothing that this system did on {target} can be rolled back: no rollout changed it yet")
    rollout = shell.rollout_of(newest.rollout_id)
    if rollout.state not in states.ROLLBACK_FROM:
        as_told.set_right(rollout)
    if rollout.state not in states.ROLLBACK_FROM or not attempted.may_have_changed(rollout):
        stands = f"rollout {rollout.pk} ({rollout}), the last to change {target}, is {states.label(rollout.state)}"
        raise CommandError(f"there is nothing to roll back: {stands}")
    return rollout


def _own_backup(rollout: Rollout, target: Target) -> Backup:
    """Return the backup that the rollout took before its deploy, read whole; raise when it is missing or corrupt."""
    backup = opening.backup_of(rollout)
    if backup is None:
        raise CommandError(f"rollout {rollout.pk} has no verified backup; name one with --backup")
    return backups.examine(target, Path(backup.path), now=timezone.now())
