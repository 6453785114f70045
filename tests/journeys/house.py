"""The house of the journeys: a real dhash world, the cast in signed-in sessions, and the product's own loop with a limit."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from monitoring import notices
from monitoring.models import Poll
from rollout import driving, loading
from rollout.intent import OUTPUT
from rollout.management.commands import demo_world
from rollout.models import Component, Rollout, Run, Target
from tests.base import PASSWORD
from tests.dhash_world import dhash_python, world
from tests.factories import actor, fresh

PRODUCTION, CANARY = "production", "canary"
# An eightieth of production: the watch lasts 45 s. 1.2.0 turns bad after so many images.
DIVIDED_BY, THUMBNAILS = 80, 100
RATE = 12
SIGNERS = (("ann", "approver"), ("abe", "approver"), ("olaf", "deploy-operator"), ("mia", "media-eng"))
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')


class Person:
    """Somebody in a browser: a session of his own, CSRF enforced, forms as the page shows them."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(enforce_csrf_checks=True)
        answer = self.post("/login/", page="/login/", username=user.get_username(), password=PASSWORD)
        assert answer.status_code == 302, answer.content.decode()

    def read(self, path: str) -> str:
        """Return a page."""
        answer = self.client.get(path)
        assert answer.status_code == 200, f"GET {path} as {self.user} answered {answer.status_code}"
        return answer.content.decode()

    def post(self, path: str, *, page: str, **fields: str) -> HttpResponse:
        """Send a form with the CSRF token of the page that shows it."""
        token = TOKEN.search(self.read(page))
        assert token, f"{page} shows {self.user} no form"
        return self.client.post(path, {**fields, "csrfmiddlewaretoken": token[1]})

    def press(self, rollout: Rollout, verb: str, **fields: str) -> None:
        """Press a button of a rollout's page; it must be accepted."""
        page = f"/rollouts/{rollout.pk}/"
        answer = self.post(f"{page}{verb}/", page=page, password=PASSWORD, **fields)
        assert (answer.status_code, answer.headers.get("Location")) == (302, page), text_of(answer)

    def approve(self, rollout: Rollout, duty: str) -> None:
        """Approve what the page shows."""
        digest = DIGEST.search(self.read(f"/rollouts/{rollout.pk}/"))
        assert digest, f"the page of {rollout} offers {self.user} no decision"
        self.press(rollout, "decide", kind="APPROVE", duty=duty, digest=digest[1], diff_opened="1", reason="Read it.")


@dataclass(kw_only=True)
class House:
    """What a journey needs: the world of dhash, the people, and what was said while it went on."""

    world: world.World
    cast: dict[str, User]
    said: list[str] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, name: str) -> Person:
        """Return somebody's session."""
        if name not in self.people:
            self.people[name] = Person(self.cast[name])
        return self.people[name]

    def target(self, environment: str = PRODUCTION) -> Target:
        """Return a target as it is now."""
        return Target.objects.get(environment__name=environment)

    def submit(self, version: str, environment: str = PRODUCTION) -> Rollout:
        """Let Rita bring a release with all its evidence, and submit its rollout; return it after the validate run."""
        rita = self.person("rita")
        release = demo_world.make_release(
            Component.objects.get(), self.facts(version), self.world.releases, user=rita.user, by=actor(rita.user)
        )
        target = self.target(environment)
        page = "/rollouts/new/"
        made = rita.post(
            page, page=page, release=str(release.pk), target=str(target.pk), reason="Customers wait for it."
        )
        assert made.status_code == 302, text_of(made)
        rollout = Rollout.objects.latest("pk")
        rita.press(rollout, "tune", accepted="on")
        rita.press(rollout, "submit")
        self.drive(rollout)
        return fresh(rollout)

    def facts(self, version: str) -> dict[str, Any]:
        """Return what releases.json says of a version."""
        known = json.loads((self.world.releases / "releases.json").read_text())
        return next(one for one in known if one["version"] == version)

    def sign(self, rollout: Rollout) -> Rollout:
        """Let the four people of the policy approve, each in a session of his own."""
        for name, duty in SIGNERS:
            self.person(name).approve(rollout, duty)
        return fresh(rollout)

    def deploy(self, version: str, environment: str = PRODUCTION) -> Rollout:
        """Take a release all the way: evidence, validate run, sign-offs, start, watch, and the rollback if one follows."""
        rollout = self.submit(version, environment)
        self.must(rollout, "WAITING")
        self.must(self.sign(rollout), "APPROVED")
        self.person("olaf").press(rollout, "start")
        self.drive(rollout)
        return fresh(rollout)

    def drive(self, rollout: Rollout, *, limit_s: float = 150) -> Run:
        """Take the newest run to its end with the product's own loop; fail with the whole story when it lasts too long."""
        run = rollout.runs.latest("pk")
        done = driving.drive(run, self.said.append, sleep=self._limited(rollout, limit_s))
        notices.deliver_due(timezone.now())
        return done

    def must(self, rollout: Rollout, state: str) -> None:
        """Fail with the whole story unless the rollout stands at a state."""
        assert rollout.state == state, f"{rollout.state}, not {state}\n{story(rollout)}"

    @contextmanager
    def traffic(self, environment: str = PRODUCTION, *, seconds: float = 240) -> Iterator[None]:
        """Post real images for as long as the block lasts."""
        variables = self.world.variables(environment)
        rate = ("--rate", str(RATE), "--seconds", str(seconds), "--tolerate", "100")
        process = subprocess.Popen(
            self.world.command(environment, "traffic", *rate),
            cwd=variables["GR_RELEASE_DIR"],
            env=variables,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
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
    """Make a world whose targets are watched with the quick profile, start it, and load its component."""
    ports = {name: world.free_port() for name in world.DEFAULT_PORTS}
    gates = {PRODUCTION: "journey", CANARY: "journey"}
    made = world.make(directory, python=dhash_python(), ports=ports, gates=gates)
    add_profile(made)
    for environment in made.ports:
        configure(made.root(environment))
    for environment in (PRODUCTION, CANARY):
        made.start(environment)
    loading.load(made.component_file, by=actor(cast["ada"], via="shell"), now=timezone.now())
    return House(world=made, cast=cast)


def add_profile(made: world.World) -> None:
    """Write the profile `journey` into this world's copy of the gates file."""
    file = made.directory / "quality-gates-config.json"
    document = json.loads(file.read_text())
    document["profiles"]["journey"] = {
        "title": "Production with every duration divided by 80",
        "base": "production",
        "divide_durations_by": DIVIDED_BY,
    }
    file.write_text(json.dumps(document))


def configure(root: Path) -> None:
    """Let dhash's metrics look back as much less as the gates do, and 1.2.0 turn bad within seconds."""
    file = root / "shared" / "config" / "dhash.json"
    quick = {"metrics_span_s": world.LIVE_SPAN_S / DIVIDED_BY, "thumbnail_cache_size": THUMBNAILS}
    file.write_text(json.dumps(json.loads(file.read_text()) | quick))


def story(rollout: Rollout) -> str:
    """Return what is known of a rollout: its runs, steps with the end of their output, polls."""
    lines = [f"{rollout} {rollout.state}: {rollout.state_why or rollout.needs_decision}"]
    for run in rollout.runs.order_by("pk"):
        lines.append(f"run {run.pk} {run.kind} {run.state} {run.reason}")
        for step in run.steps.all():
            lines.append(
                f"  {step.number} {step.title}: {step.state} x{step.attempt} {step.outcome.get('sentence', '')}"
            )
            output = Path(settings.GR_RUN_DIR) / "steps" / step.folder / OUTPUT
            if step.state not in ("SUCCEEDED", "PENDING", "SKIPPED") and output.exists():
                lines += [f"      {line}" for line in output.read_text(errors="replace").splitlines()[-25:]]
        if run.watch is not None:
            polls = Poll.objects.filter(watch=run.watch).order_by("-number")[:5]
            lines += [f"  poll {poll.number}: {poll.verdict} {poll.reason}" for poll in polls]
    return "\n".join(lines)


def text_of(answer: HttpResponse) -> str:
    """Return status and words of an answer, for a failure's message."""
    words = re.sub(r"<script.*?</script>|<[^>]+>|\s+", " ", answer.content.decode(), flags=re.DOTALL)
    return f"{answer.status_code} {re.sub(r' +', ' ', words)[:1500]}"
