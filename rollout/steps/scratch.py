"""A scratch copy of a target, restored from a backup, on a spare port; gone afterwards."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rollout.archive import reader, restore
from rollout.drivers import DRIVERS, argv
from rollout.drivers.base import Log, version_of
from rollout.drivers.ports import spare_port
from rollout.intent import Intent
from rollout.steps.frame import StepFailed
from rollout.target import TargetSpec


@dataclass(frozen=True, kw_only=True)
class Place:
    """A target on disk with the release directory that is live in it."""

    target: TargetSpec
    release_dir: str
    log: Log

    @property
    def version(self) -> str:
        """Return the version that is live here."""
        return version_of(self.release_dir)

    def command(self, name: str, *, timeout_s: int = 300) -> argv.Done:
        """Run a declared command in the live release directory; raise StepFailed unless it exits with 0."""
        done = argv.run(
            self.target,
            name,
            release_dir=self.target.root_path / self.release_dir,
            version=self.version,
            log=self.log,
            timeout_s=timeout_s,
        )
        if not done.ok:
            raise StepFailed(f"{name} exited with {done.code}: {done.last_line}")
        return done


@contextlib.contextmanager
def restored(intent: Intent, log: Log) -> Iterator[Place]:
    """Restore the intent's backup into an empty scratch root; remove it afterwards."""
    root = Path(intent.scratch) / intent.token
    shutil.rmtree(root, ignore_errors=True)
    try:
        proof = restore.rehearse_into(Path(intent.backup), root, log=log, progress=reader.quiet)
        if not proof.equal:
            raise StepFailed(f"the restored copy differs from the backup in {len(proof.differences)} file(s)")
        log(f"restored into a scratch place: {len(proof.files)} files equal by sha256")
        target = intent.target.at(root=root, port=spare_port(intent.target.host))
        (root / "shared").mkdir(exist_ok=True)
        yield Place(target=target, release_dir=DRIVERS[target.driver].live(target), log=log)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def started(place: Place) -> Iterator[Place]:
    """Start the service of a place; stop it afterwards, whatever happened."""
    try:
        place.command("start", timeout_s=60)
        yield place
    finally:
        with contextlib.suppress(StepFailed):
            place.command("stop", timeout_s=60)


def upgraded(place: Place, intent: Intent) -> Place:
    """Stage the intent's release in a place, migrate its database and switch to it."""
    driver, release_dir = DRIVERS[place.target.driver], f"releases/9999-{intent.params['version']}"
    driver.stage(place.target, Path(intent.archive), release_dir, log=place.log)
    new = Place(target=place.target, release_dir=release_dir, log=place.log)
    if "migrate" in place.target.commands:
        new.command("migrate", timeout_s=600)
    driver.switch(place.target, release_dir, log=place.log)
    return new
