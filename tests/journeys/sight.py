"""What a journey looks at from outside: the disk, the service's own answers, and, when it failed, the whole story."""

import hashlib
import json
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from monitoring.models import Poll
from rollout.intent import OUTPUT
from rollout.models import Backup, Rollout
from tests.dhash_world import world

DATABASE = "shared/dhash.sqlite3"
# Stands in for `start`: writes down what is on the disk at that moment, then does what dhash's own command does.
WITNESS = '''"""Writes down what stands on the disk when a service is started, then starts it."""
import hashlib, json, os, sys
from pathlib import Path

release, database = Path(os.environ["GR_RELEASE_DIR"]), Path(os.environ["GR_SHARED"], "dhash.sqlite3")
code = {str(one.relative_to(release)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(release.rglob("*")) if one.is_file()}
seen = {"root": os.environ["GR_ROOT"], "code": code, "database": hashlib.sha256(database.read_bytes()).hexdigest()}
with Path(__file__).with_name("witness.jsonl").open("a") as out:
    out.write(json.dumps(seen) + "\\n")
os.execv(sys.executable, [sys.executable, "-m", "dhash.ctl", "start"])
'''


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An environment at one moment: where `current` points, the sha256 of each file there, what the service says."""

    link: str
    code: dict[str, str]
    releases: tuple[str, ...]
    health: dict[str, Any]
    image: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """How a rollout stood at the end of a chapter, and what was seen before and after it."""

    rollout: Rollout
    before: Seen
    after: Seen
    # what people were answered on the way
    told: tuple[str, ...] = ()


def look(made: world.World, environment: str) -> Seen:
    """Look at an environment, and post a real image to it."""
    root = made.root(environment)
    link = (root / "current").readlink()
    image = sorted((root / "current" / "golden").glob("*.png"))[0].read_bytes()
    return Seen(
        link=str(link),
        code=hashes(root / link),
        releases=tuple(sorted(one.name for one in (root / "releases").iterdir())),
        health=_ask(f"{made.base_url(environment)}/health"),
        image=_ask(f"{made.base_url(environment)}/images", image),
    )


def hashes(folder: Path) -> dict[str, str]:
    """Return path -> sha256 of every file in a directory."""
    files = (one for one in sorted(folder.rglob("*")) if one.is_file())
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def in_backup(backup: Backup, path: str) -> str:
    """Return the sha256 of a file inside a backup, read with nothing of ours."""
    with zipfile.ZipFile(backup.path) as archive:
        return hashlib.sha256(archive.read(f"root/{path}")).hexdigest()


def witnessed(made: world.World, environment: str) -> list[dict[str, Any]]:
    """Return what stood on the disk at each start of an environment's service, oldest first."""
    lines = (made.directory / "witness.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["root"] == str(made.root(environment))]


def story(rollout: Rollout) -> str:
    """Return what is known of a rollout: its runs, steps with the end of their output, polls."""
    lines = [f"{rollout} {rollout.state}: {rollout.state_why or rollout.needs_decision}"]
    for run in rollout.runs.order_by("pk"):
        lines.append(f"run {run.pk} {run.kind} {run.state} {run.reason}")
        for step in run.steps.all():
            said = step.outcome.get("sentence", "")
            lines.append(f"  {step.number} {step.title}: {step.state} x{step.attempt} {said}")
            output = Path(settings.GR_RUN_DIR) / "steps" / step.folder / OUTPUT
            if step.state not in ("SUCCEEDED", "PENDING", "SKIPPED") and output.exists():
                lines += [f"      {line}" for line in output.read_text(errors="replace").splitlines()[-25:]]
        if run.watch is not None:
            polls = Poll.objects.filter(watch=run.watch).order_by("-number")[:5]
            lines += [f"  poll {poll.number}: {poll.verdict} {poll.reason}" for poll in polls]
    return "\n".join(lines)


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=15) as answer:
        return dict(json.load(answer))
