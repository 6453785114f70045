"""Opens the watch that a deploy run ends with, and turns its outcome into a move."""

from datetime import datetime

from monitoring import audit, watcher
from monitoring.audit import SYSTEM
from monitoring.gates import GateProfile
from monitoring.models import Watch
from monitoring.watcher import WatchSpec
from rollout import attempted, borne, commands, contradicted, endings, freezing, routing, standing, transitions
from rollout.drivers import argv
from rollout.models import Rollout, Run, Step
from rollout.states import RolloutState as R
from rollout.states import StepState as S
from rollout.target import CURRENT
from rollout.transitions import move


def begin(run: Run, step: Step, *, now: datetime) -> None:
    """Open the watch and move the rollout to WATCHING, in one transaction."""
    rollout, target = run.rollout, commands.spec_of(run)
    current = target.root_path / CURRENT
    known = argv.values(target, current, rollout.release.version)
    spec = WatchSpec(
        subject=transitions.subject_of(rollout),
        base_url=target.base_url,
        profile=GateProfile.from_dict(freezing.signed(rollout)["gates"]),
        started_at=now,
        cwd=str(current),
        env={f"GR_{key.upper()}": value for key, value in known.items()},
        routes=routing.of(rollout.target.component),
        url=transitions.url_of(rollout),
    )
    with audit.turn():
        told = standing.begun_as(step)
        move(step, S.RUNNING, by=SYSTEM, now=now, data=told, attempt=step.attempt + 1, started_at=now)
        watch = watcher.open(spec, now=now)
        Run.objects.filter(pk=run.pk).update(watch=watch)
        move(rollout, R.WATCHING, by=SYSTEM, now=now, why=f"watched for {spec.profile.window_s} s")


def settle(run: Run, step: Step, *, now: datetime) -> bool:
    """Follow the watch's outcome; return whether the run may go on to its end."""
    run.refresh_from_db(fields=["watch"])  # another worker may have opened it after this one read the run
    watch = run.watch
    if watch is None:
        contradicted.end(run, step, why="it has no watch; the database was edited", now=now)
        return False
    if not watcher.is_followed(watch.state, watch.outcome):
        _look_again(run, step, watch, now)
    told = watch.outcome not in (Watch.Outcome.PASSED, Watch.Outcome.BREACHED) or borne.is_outcome(run, watch)
    if told and watch.outcome == Watch.Outcome.PASSED:
        outcome = {"result": "ok", "sentence": watch.reason}
        move(step, S.SUCCEEDED, by=SYSTEM, now=now, why=watch.reason, ended_at=now, outcome=outcome)
        return True
    if standing.is_to_abort(run):
        endings.aborted(run, now=now)
    elif not told:
        _ask(run.rollout, watch, "the audit tells of another outcome: the database was edited", now)
    elif watch.outcome == Watch.Outcome.BREACHED:
        _breach(run, watch, now)
    elif watch.outcome == Watch.Outcome.NEEDS_DECISION and not run.rollout.needs_decision:
        _ask(run.rollout, watch, watch.reason, now)
    return False


def _look_again(run: Run, step: Step, watch: Watch, now: datetime) -> None:
    """Leave a watch to people that by its row nobody looks at any more, though its run waits for it; and look on."""
    with audit.turn():
        standing.require_unmoved(run, step)  # whoever ends a run closes its watch
        watcher.ask(watch, why="its row said that nobody looks at it any more; the database was edited", now=now)


def _breach(run: Run, watch: Watch, now: datetime) -> None:
    """Roll back by itself, once per rollout; after that a person decides."""
    if attempted.is_left_to_people(run.rollout):
        _ask(run.rollout, watch, watch.reason, now)
        return
    with audit.turn():
        transitions.tell(
            run.rollout,
            "watch_breached",
            "critical",
            why=watch.reason,
            by=SYSTEM,
            now=now,
            key=f"watch-{watch.pk}",
            breach=watch.reason,
        )
        endings.deploy_failed(run, why=watch.reason, title="Quality gate breached", now=now)


def _ask(rollout: Rollout, watch: Watch, why: str, now: datetime) -> None:
    with audit.turn():
        asked = Rollout.objects.filter(pk=rollout.pk, needs_decision="").update(needs_decision=why)
        if asked:
            transitions.tell(
                rollout,
                "needs_decision",
                "critical",
                why=why,
                by=SYSTEM,
                now=now,
                key=f"decision-{rollout.pk}-{watch.pk}",
            )
