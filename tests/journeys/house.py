"""The house of the journeys: a real dhash world, the cast in sessions of their own, the product's loop with a limit."""

import json
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from monitoring import notices
from rollout import driving, loading
from rollout.management.commands import demo_world
from rollout.models import Component, Release, Rollout, Run, Target
from tests.dhash_world import dhash_python, world
from tests.factories import actor, fresh
from tests.journeys.person import Person, text_of
from tests.journeys.sight import WITNESS, Seen, look, story

PRODUCTION, STAGING, CANARY = "production", "staging", "canary"
# An eightieth of production: the watch lasts 45 s. 1.2.0 turns bad after so many images.
DIVIDED_BY, THUMBNAILS = 80, 100
IMAGES_A_SECOND = "12"
SIGNERS = (("ann", "approver"), ("abe", "approver"), ("olaf", "deploy-operator"), ("mia", "media-eng"))


@dataclass(kw_only=True)
class House:
    """What a journey needs: the world of dhash, the people, and what was said while it went on."""

    world: world.World
    cast: dict[str, User]
    people: dict[str, Person]
    said: list[str] = field(default_factory=list)

    def person(self, name: str) -> Person:
        """Return somebody's session."""
        return self.people[name]

    def target(self, environment: str = PRODUCTION) -> Target:
        """Return a target as it is now."""
        return Target.objects.get(environment__name=environment)

    def look(self, environment: str = PRODUCTION) -> Seen:
        """Look at an environment from outside."""
        return look(self.world, environment)

    def release(self, version: str) -> Release:
        """Return a release with all the evidence that people and CI bring; Rita brings it when it is not there."""
        component, rita = Component.objects.get(), self.cast["rita"]
        known = json.loads((self.world.releases / "releases.json").read_text())
        facts: dict[str, Any] = next(one for one in known if one["version"] == version)
        found = component.releases.filter(version=version).first()
        return found or demo_world.make_release(component, facts, self.world.releases, user=rita, by=actor(rita))

    def bring_archive(self, version: str, *, appended: dict[str, str]) -> None:
        """Add an archive to the world: 1.0.0 with text at the end of some files."""
        known = json.loads((self.world.releases / "releases.json").read_text())
        file = f"dhash-{version}.zip"
        with (
            zipfile.ZipFile(self.world.releases / "dhash-1.0.0.zip") as old,
            zipfile.ZipFile(self.world.releases / file, "w") as new,
        ):
            for info in old.infolist():
                content = f"{version}\n" if info.filename == "VERSION" else None
                more = appended.get(info.filename, "").encode()
                new.writestr(info, content or old.read(info) + more)
        sha256 = demo_world.storage.sha256_of(self.world.releases / file)
        facts = {**known[0], "version": version, "commit": "4" * 40, "file": file, "sha256": sha256}
        (self.world.releases / "releases.json").write_text(json.dumps([*known, facts]))

    def draft(self, version: str, environment: str = PRODUCTION) -> Rollout:
        """Let Rita ask for a release to be put somewhere, and accept the monitoring defaults."""
        rita, release, target = self.person("rita"), self.release(version), self.target(environment)
        page = "/rollouts/new/"
        fields = {"release": str(release.pk), "target": str(target.pk), "reason": "Customers wait for it."}
        made = rita.post(page, page=page, **fields)
        assert made.status_code == 302, text_of(made)
        rollout = Rollout.objects.latest("pk")
        rita.press(rollout, "tune", accepted="on")
        return fresh(rollout)

    def submit(self, version: str, environment: str = PRODUCTION) -> Rollout:
        """Let Rita submit a rollout; return it after its validate run."""
        rollout = self.draft(version, environment)
        self.person("rita").press(rollout, "submit")
        self.drive(rollout)
        return fresh(rollout)

    def sign(self, rollout: Rollout) -> Rollout:
        """Let the four people of the policy approve, each in a session of his own."""
        for name, duty in SIGNERS:
            self.person(name).approve(rollout, duty)
        rollout = fresh(rollout)
        self.must(rollout, "APPROVED")
        return rollout

    def deploy(self, version: str, environment: str = PRODUCTION) -> Rollout:
        """Take a release all the way: evidence, validate run, sign-offs, start, watch, and what follows."""
        rollout = self.submit(version, environment)
        self.must(rollout, "WAITING")
        signed = self.sign(rollout)
        self.person("olaf").press(signed, "start", digest=signed.digest)
        self.drive(rollout)
        return fresh(rollout)

    def drive(self, rollout: Rollout, *, limit_s: float = 150) -> Run:
        """Take the newest run to its end with the product's own loop; fail with the whole story when it lasts."""
        done = driving.drive(rollout.runs.latest("pk"), self.said.append, sleep=self._limited(rollout, limit_s))
        notices.deliver_due(timezone.now())
        return done

    def must(self, rollout: Rollout, state: str) -> None:
        """Fail with the whole story unless the rollout stands at a state."""
        assert rollout.state == state, f"{rollout.state}, not {state}\n{story(rollout)}"

    @contextmanager
    def traffic(self, environment: str = PRODUCTION, *, seconds: int = 3600) -> Iterator[None]:
        """Post real images for as long as the block lasts."""
        rate = ("--rate", IMAGES_A_SECOND, "--seconds", str(seconds), "--tolerate", "100")
        process = subprocess.Popen(
            self.world.command(environment, "traffic", *rate),
            cwd=self.world.directory,
            env=self.world.variables(environment)
            | {"PYTHONPATH": str((self.world.root(environment) / "current").resolve())},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
            assert process.poll() is None, "the traffic ended before the journey"
        finally:
            process.terminate()
            process.wait(timeout=20)

    def _limited(self, rollout: Rollout, limit_s: float) -> Callable[[float], None]:
        deadline = time.monotonic() + limit_s

        def sleep(_: float) -> None:
            assert time.monotonic() < deadline, f"not at its end after {limit_s:.0f} s\n{story(fresh(rollout))}"
            time.sleep(0.05)

        return sleep


def make(directory: Path, cast: dict[str, User]) -> House:
    """Make a world with the quick gates and a witness of every start; dhash runs in two of its environments."""
    ports = {name: world.free_port() for name in world.DEFAULT_PORTS}
    gates = {PRODUCTION: "journey", CANARY: "journey"}
    made = world.make(directory, python=dhash_python(), ports=ports, gates=gates)
    _add_profile(made)
    _add_witness(made)
    for environment in made.ports:
        _configure(made.root(environment))
    for environment in (PRODUCTION, CANARY):
        made.start(environment)
    loading.load(made.component_file, by=actor(cast["ada"], via="shell"), now=timezone.now())
    return House(world=made, cast=cast, people={name: Person(user) for name, user in cast.items()})


def _add_profile(made: world.World) -> None:
    """Write the profile `journey` into this world's copy of the gates file."""
    file = made.directory / "quality-gates-config.json"
    document = json.loads(file.read_text())
    title = f"Production with every duration divided by {DIVIDED_BY}"
    document["profiles"]["journey"] = {"title": title, "base": "production", "divide_durations_by": DIVIDED_BY}
    file.write_text(json.dumps(document))


def _add_witness(made: world.World) -> None:
    """Let this world's copy of component.toml start dhash through the witness."""
    text = made.component_file.read_text()
    changed = text.replace("[vars]\n", '[vars]\nwitness = "./witness.py"\n')
    changed = changed.replace('start = ["{python}", "-m", "dhash.ctl", "start"]', 'start = ["{python}", "{witness}"]')
    assert changed.count("witness") == 3, "component.toml of the example reads otherwise than expected"
    made.component_file.write_text(changed)
    (made.directory / "witness.py").write_text(WITNESS)


def _configure(root: Path) -> None:
    """Let dhash's metrics look back as much less as the gates do, and 1.2.0 turn bad within seconds."""
    file = root / "shared" / "config" / "dhash.json"
    quick = {"metrics_span_s": world.LIVE_SPAN_S / DIVIDED_BY, "thumbnail_cache_size": THUMBNAILS}
    file.write_text(json.dumps(json.loads(file.read_text()) | quick))
