"""The worlds that trials begin in: a database file with a target and a rollout, made once and copied for each trial."""

import hashlib
import shutil
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from rollout import actions, beginning, component_target, detached, drivers, nudge, plan, runner
from rollout.models import Backup, Rollout, Run, Target
from rollout.plan import StepPlan
from rollout.target import TargetSpec
from tests import factories
from tests.base import make_cast
from tests.factories import NOW, actor
from tests.faults.harness import forks, settings, spec, target

# A step that hangs is none of these trials' subjects; the clock of a trial runs fast.
LONG_S = 100_000


def prepare() -> None:
    """Put the fakes in the places of the outside world; the engine and the runner stay what they are."""
    for name in spec.DRIVERS:
        drivers.DRIVERS[name] = target.Fake(name)  # type: ignore[arg-type]
    component_target.DRIVERS = (*spec.DRIVERS, "release_dir")  # type: ignore[assignment]
    plan.deploy, plan.rollback, plan.validate = _deploy, _rollback, _validate
    nudge._soon = lambda *message: None  # type: ignore[assignment]  # every message is lost: deliveries come anyway
    runner.subprocess = forks.Subprocess  # type: ignore[assignment]
    detached.subprocess = forks.Subprocess  # type: ignore[assignment]


def _deploy(spec: TargetSpec, version: str, release_dir: str) -> tuple[StepPlan, ...]:
    params = {"version": version, "release_dir": release_dir}
    return (
        StepPlan(kind="switch", title="Switch", effect=True, params=params, timeout_s=LONG_S),
        StepPlan(kind="watch", title="Watch", timeout_s=0),
    )


def _rollback(previous_version: str) -> tuple[StepPlan, ...]:
    return (
        StepPlan(kind="restore", title="Restore", effect=True, timeout_s=LONG_S),
        StepPlan(kind="start", title="Start", effect=True, timeout_s=LONG_S),
    )


def _validate(spec: TargetSpec, version: str) -> tuple[StepPlan, ...]:
    return (
        StepPlan(kind="backup", title="Backup", timeout_s=LONG_S),
        StepPlan(kind="dry_run", title="Dry run", params={"what": "migrate", "version": version}, timeout_s=LONG_S),
    )


def make(where: Path) -> None:
    """Make the worlds of each driver: with a draft, an approved rollout, one that began, one that succeeded."""
    _fresh()
    call_command("migrate", verbosity=0)
    keep(where / "empty")
    for driver in spec.DRIVERS:
        enter(where / "empty")
        cast = make_cast()
        text = factories.TOML.replace('driver = "release_dir"', f'driver = "{driver}"')
        factories.write_component(settings.WORLD / "dhash", text=text)
        component = factories.load(settings.WORLD / "dhash" / "component.toml")
        place: Target = component.targets.get(environment__name="production")
        factories.make_draft(place, cast["rita"])
        keep(where / f"draft-{driver}")
        rollout = factories.approve(factories.freeze(Rollout.objects.get()), cast)
        keep(where / f"approved-{driver}")
        olaf = cast["olaf"]
        run = actions.start(rollout, user=olaf, by=actor(olaf), now=NOW)
        if not beginning.begin(run, NOW):
            raise RuntimeError("the run does not begin")
        Rollout.objects.update(backup=_backup(place, run))
        keep(where / f"begun-{driver}")


def _backup(place: Target, run: Run) -> Backup:
    """Return the backup that a deploy took before it changed anything."""
    file, content = settings.GR_BACKUPS / "before.zip", b"what was there before"
    file.write_bytes(content)
    return factories.make_backup(place, str(file), sha256=hashlib.sha256(content).hexdigest(), run=run)


def enter(kept: Path) -> None:
    """Make a kept world the one that stands."""
    shutil.rmtree(settings.WORLD, ignore_errors=True)
    shutil.copytree(kept, settings.WORLD, symlinks=True)


def _fresh() -> None:
    shutil.rmtree(settings.WORLD, ignore_errors=True)
    for folder in (settings.GR_RUN_DIR, settings.GR_ARTIFACTS, settings.GR_BACKUPS):
        folder.mkdir(parents=True)


def keep(where: Path) -> None:
    """Keep the world that stands, for trials to begin in."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copytree(settings.WORLD, where, symlinks=True)
