"""manage.py monitor: show what the gates of a target measure, of its live watch or by asking now."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from monitoring import probes, watch_data
from monitoring.gates import GateProfile
from monitoring.models import Poll, Watch
from monitoring.verdict import Reading
from rollout import driving, shell
from rollout.models import Run, Target

LOOK_S = 0.5


class Command(shell.ActingCommand):
    """Monitor a target."""

    help = (
        "Print samples and verdict of the watch of a target; without a live watch, ask every source once with the "
        "environment's profile. Exit 1 when the verdict is failing or a source gave no data. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the target and how long to look."""
        shell.add_place(parser)
        span = parser.add_mutually_exclusive_group()
        span.add_argument("--once", action="store_true", help="print what stands now and end")
        span.add_argument(
            "--seconds", type=float, metavar="N", help="follow the watch for so long (default: to its end)"
        )
        parser.add_argument("--dry-run", action="store_true", help="print what would be measured, measure nothing")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object instead of lines; implies --once"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Follow the live watch, or probe once."""
        target = shell.target_of(options)
        profile = target.declared.profile
        if options["dry_run"]:
            self._describe(target, profile)
            return
        watch = live_watch(target)
        if watch is None:
            self._probe(target, profile, as_json=options["json"])
        elif options["json"]:
            self.say(json.dumps(watch_data.series(watch)))
            _end(watch)
        else:
            limit = 0 if options["once"] else options["seconds"]
            self._follow(watch, limit)

    def _describe(self, target: Target, profile: GateProfile) -> None:
        self.say(f"{target} at {target.spec.base_url}, profile {profile.name}, window {profile.window_s} s")
        for source in profile.sources:
            self.say(f"  source {source.name}: {source.kind} {source.path or ' '.join(source.argv)}".rstrip())
        for gate in profile.gates:
            self.say(f"  gate {gate.name}: {gate.title}, limit {gate.limit} {gate.unit}, {gate.severity}")

    def _probe(self, target: Target, profile: GateProfile, *, as_json: bool) -> None:
        if not as_json:
            self.say(f"{target} is not watched now; asking every source of profile {profile.name} once")
        seen = probes.read_all(
            profile.sources, target.spec.base_url, fetch=watch_data.fetch, now=timezone.now().timestamp()
        )
        if as_json:
            rows = [{"source": one.source, "value": one.value, "ok": one.ok, "error": one.error} for one in seen]
            self.say(json.dumps({"watch": None, "samples": rows}))
        else:
            for one in seen:
                self.say(f"  {_line(one)}")
        silent = [one.source for one in seen if not one.ok]
        if silent:
            raise CommandError(f"no good answer from: {', '.join(silent)}")

    def _follow(self, watch: Watch, limit: float | None) -> None:
        self.say(f"watch {watch.pk} of {watch.subject_label}, until {watch.ends_at:%H:%M:%S} UTC")
        if not driving.others_alive():
            self.say("WARNING: pulse gives no sign of life; nobody may be observing (start it, or use deploy)")
        shown, end = max(0, watch.polls - 1), None if limit is None else time.monotonic() + limit
        while True:
            for poll in Poll.objects.filter(watch=watch, number__gt=shown).order_by("number"):
                shown = poll.number
                self._tell(poll)
            watch.refresh_from_db()
            if watch.state != Watch.State.OBSERVING or (end is not None and time.monotonic() >= end):
                break
            time.sleep(LOOK_S)
        _end(watch)
        self.say(f"verdict {watch.verdict}: {watch.outcome or 'no outcome yet'} {watch.reason}".rstrip())

    def _tell(self, poll: Poll) -> None:
        again = f"again in {poll.next_interval_s.normalize():f} s: {poll.next_reason}"
        self.say(f"{poll.at:%H:%M:%S} poll {poll.number} {poll.verdict}: {poll.reason} ({again})")
        for gate in poll.gates:
            self.say(f"    {gate['name']}: {gate['state']} {gate.get('reason', '')}".rstrip())


def live_watch(target: Target) -> Watch | None:
    """Return the watch of a target's newest run that is not closed; None when nothing is watched."""
    runs = Run.objects.filter(target=target, watch__isnull=False).exclude(watch__state=Watch.State.CLOSED)
    run = runs.select_related("watch").order_by("-pk").first()
    return run.watch if run else None


def _line(one: Reading) -> str:
    value = "no data" if one.value is None else f"{one.value:g}"
    return f"{one.source}: {value} in {one.elapsed_ms} ms{'' if one.ok else f' NOT OK: {one.error}'}"


def _end(watch: Watch) -> None:
    if watch.outcome == Watch.Outcome.BREACHED or watch.verdict == "failing":
        raise CommandError(f"verdict {watch.verdict}: {watch.reason}")
