"""Works inside a scratch installation: fills it, and opens and starts rollouts by the product's own functions.

A process of its own, because the installation has other settings than the test: one JSON line in, one out.
"""

import io
import json
import sys
import traceback
import zipfile
from pathlib import Path
from typing import Any

import django


def main() -> None:
    """Set Django up and answer until the input ends."""
    django.setup()
    from tests.faults import stagehand  # by its name: as __main__ it was imported before Django was ready

    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"ok": getattr(stagehand, asked.pop("do"))(**asked)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


def fill(component: str) -> int:
    """Migrate, make the cast, load the component; return how many targets it has."""
    from django.core.management import call_command
    from django.utils import timezone

    from tests import base, factories

    call_command("migrate", verbosity=0)
    base.make_cast()
    return factories.load(Path(component), now=timezone.now()).targets.count()


def approve(environment: str) -> int:
    """Return a rollout of a new release to that environment that may start."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from rollout.models import Target
    from tests import factories

    factories.NOW = timezone.now()  # type: ignore[misc]
    cast = {user.username: user for user in User.objects.all()}
    target = Target.objects.get(environment__name=environment)
    version = f"1.1.{target.component.releases.count()}"
    factories.ARCHIVE = archive_of(version)
    release = factories.make_release(target.component, cast["rita"], version)
    factories.bring_archive(release, cast["rita"], archive_of(version))
    rollout = factories.make_draft(target, cast["rita"], release=release)
    factories.decide(factories.freeze(rollout), cast["ann"], "approver", now=factories.NOW)
    for name, duty in (("abe", "approver"), ("olaf", "deploy-operator")):
        factories.decide(factories.fresh(rollout), cast[name], duty, now=factories.NOW)
    return rollout.pk


def start(rollout: int) -> int:
    """Click start, and return the run that it opened."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from rollout import actions
    from rollout.models import Rollout
    from tests.factories import actor

    olaf = User.objects.get(username="olaf")
    return actions.start(Rollout.objects.get(pk=rollout), user=olaf, by=actor(olaf), now=timezone.now()).pk


def deploy(environment: str) -> int:
    """Start a rollout of a new release to that environment; return its run."""
    return start(approve(environment))


def spoil_queue(mode: str) -> None:
    """Let every message that is sent here from now on meet its fate."""
    from tests.faults import bad_queue

    bad_queue.spoil(mode)


def verify_audit() -> str:
    """Return what the audit's own check says."""
    from django.core.management import call_command

    said = io.StringIO()
    call_command("audit", "verify", stdout=said)
    return said.getvalue()


def archive_of(version: str) -> bytes:
    """Return a release that holds nothing but its version, the same bytes every time."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("VERSION"), version)
    return packed.getvalue()


def call(process: Any, do: str, **values: Any) -> Any:
    """Let a running stage hand do something, and return its answer."""
    process.stdin.write(json.dumps({"do": do, **values}) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    answer = json.loads(line) if line else {"error": "the stage hand is gone"}
    assert "error" not in answer, answer["error"]
    return answer["ok"]


if __name__ == "__main__":
    main()
