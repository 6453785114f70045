"""manage.py deploy: start the signed-off rollout of a target and follow it to its end."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from approvals import ledger
from approvals.signatures import Proof
from rollout import actions, driving, freezing, glass, plan, shell, starting, states
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R


class Command(shell.ActingCommand):
    """Deploy a rollout."""

    help = "Start a rollout that is signed off; the same valid sign-offs as in the browser are needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the target and, if there is a choice, the rollout."""
        shell.add_place(parser)
        parser.add_argument("--rollout", type=int, metavar="ID", help="default: the newest that is approved")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and whether it could start")
        add_emergency(parser)
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the rollout, drive it, and end with its verdict."""
        target = shell.target_of(options)
        rollout = rollout_for(target, options["rollout"])
        if options["dry_run"]:
            self._dry_run(rollout)
            return
        run = break_glass(rollout, options) if options["break_glass"] else start(rollout, options)
        driving.drive(run, self.say)
        rollout.refresh_from_db()
        if rollout.state != R.SUCCEEDED:
            raise CommandError(f"rollout {rollout.pk} is {states.label(rollout.state)}: {ended_why(rollout)}")
        self.say(f"{target} runs {rollout.release.version}: {rollout}, watched to the end")

    def _dry_run(self, rollout: Rollout) -> None:
        now, target = timezone.now(), rollout.target
        steps = plan.deploy(target.spec, rollout.release.version, plan.release_dir(rollout.pk, rollout.release.version))
        stands = f"{states.label(rollout.state)}, digest {rollout.digest or 'not frozen'}"
        self.say(f"rollout {rollout.pk}: {rollout}, {stands}")
        self.say(f"{target} runs {target.live_version or 'nothing known'}; it would run {rollout.release.version}")
        for number, step in enumerate(steps, start=1):
            self.say(f"  [{number}/{len(steps)}] {step.title}{' (changes the target)' if step.effect else ''}")
        if rollout.state != R.APPROVED or rollout.sign_off is None:
            raise CommandError(actions.why_not_startable(rollout, now=now))
        parts = freezing.changed(rollout)
        if parts:
            raise CommandError(f"the sign-offs would be void, changed since they were given: {', '.join(parts)}")
        actions.require_free(target, now=now)
        missing = ledger.standing(rollout.sign_off, now=now).missing
        if missing:
            raise CommandError(f"sign-offs are missing: {', '.join(missing)}")
        self.say("It could start. Nothing was done.")


def add_emergency(parser: ArgumentParser) -> None:
    """Take what a start without the complete sign-off asks for."""
    group = parser.add_argument_group("in an emergency")
    start_so = "start without the complete sign-off: opens an incident, tells everybody, is reviewed by two others"
    group.add_argument("--break-glass", action="store_true", help=start_so)
    group.add_argument("--cannot-wait", metavar="REASON", help="why it cannot wait for the missing signatures")
    group.add_argument("--checked", metavar="REASON", help="why it is safe: what was checked instead, and by whom")
    group.add_argument("--digest", metavar="SHA256", help="the digest that you looked at, as --dry-run prints it")


def start(rollout: Rollout, options: dict[str, Any]) -> Run:
    """Start what is signed off."""
    now = timezone.now()
    if rollout.state != R.APPROVED:
        raise CommandError(actions.why_not_startable(rollout, now=now))
    person = shell.operator(options, now=now)
    return starting.start(
        rollout,
        user=person.user,
        digest_seen=rollout.digest,
        proof=Proof(at=person.proved_at),
        by=person.actor,
        now=now,
    )


def break_glass(rollout: Rollout, options: dict[str, Any]) -> Run:
    """Start what is not signed off, under two reasons, over a named digest of a named rollout."""
    if not all(options[name] for name in ("rollout", "cannot_wait", "checked", "digest")):
        raise shell.usage_error("--break-glass needs --rollout, --cannot-wait, --checked and --digest")
    now = timezone.now()
    person = shell.operator(options, now=now)
    broken = glass.break_glass(
        rollout,
        user=person.user,
        digest_seen=options["digest"],
        why_now=options["cannot_wait"],
        why_safe=options["checked"],
        authenticated_at=person.proved_at,
        by=person.actor,
        now=now,
    )
    return broken.run


def rollout_for(target: Target, number: int | None) -> Rollout:
    """Return the rollout to start: the one asked for, else the newest approved one, else the newest of all."""
    of_target = Rollout.objects.with_places().filter(target=target)
    if number is not None:
        rollout = shell.rollout_of(number)
        if rollout.target_id != target.pk:
            raise CommandError(f"rollout {number} is for {rollout.target}, not for {target}")
        return rollout
    found = of_target.filter(state=R.APPROVED).first() or of_target.first()
    if found is None:
        raise CommandError(f"there is no rollout for {target}")
    return found


def ended_why(rollout: Rollout) -> str:
    """Return why a rollout stands where it does, in its own words."""
    return rollout.needs_decision or rollout.state_why or "see its page"
