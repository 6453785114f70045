"""Uses an installation on a disk that is full or failing: each piece of work in a fork, its answer as a JSON line.

`python -m tests.faults.disk_hand`, with GR_VAR on that disk; a line of stdin is a verb and its argument. The fork tells
its pid and waits for a line before it begins, so that a tracer can take hold of it.
"""

import hashlib
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import django

django.setup()

import pytest  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from approvals.ledger import Refused  # noqa: E402
from monitoring import audit_verify, storage  # noqa: E402
from rollout import actions, ballast, evidence, tasks, tokens  # noqa: E402
from rollout.models import Artifact, Release, Rollout, Run, Target  # noqa: E402
from rollout.states import RolloutState as R  # noqa: E402
from tests import base, factories  # noqa: E402
from tests.factories import NOW, actor  # noqa: E402
from tests.fakes import FakeRunner, drive  # noqa: E402

VAR = Path(settings.GR_VAR)
BROUGHT = b"evidence" * 40_000  # several chunks


def fill(_: str) -> dict[str, Any]:
    """Make an installation with its reserve, a token, an approved rollout and one that may be submitted."""
    call_command("migrate", verbosity=0, skip_checks=True)
    cast = base.make_cast()
    target = factories.make_target(VAR / "dhash")
    factories.make_approved(target, cast)
    staging = Target.objects.get(environment__name="staging")
    factories.make_draft(staging, cast["rita"], "1.2.0")
    factories.make_release(target.component, cast["rita"], "1.3.0")  # of no rollout: it may be brought for ever
    ballast.restore()
    values = {"name": "ci", "scopes": ["release:write"], "days": 30, "now": timezone.now()}
    return {"token": tokens.create(target.component, user=cast["rita"], by=actor(cast["rita"]), **values)[1]}


def upload(token: str) -> dict[str, Any]:
    """Bring a file as CI does."""
    answer = Client(raise_request_exception=False).put(
        f"/api/v1/releases/{Release.objects.get(version='1.3.0').pk}/artifacts/monitor_logs",
        BROUGHT,
        content_type="application/octet-stream",
        headers={"Authorization": f"Bearer {token}", "X-Filename": "logs.zip"},
    )
    return {"status": answer.status_code, "said": answer.content.decode()[:300]}


def record(_: str) -> dict[str, Any]:
    """Run a deploy to its last step but one, fill the disk, and let the engine record how the step ended."""
    fake = FakeRunner(VAR)
    with pytest.MonkeyPatch.context() as patch:
        fake.install(patch)
        rollout = _put_in_production()
        run = rollout.runs.get()
        drive(run, fake, stop_at="switch")
        fake.succeed()
        filler = _fill_up()
        tasks.advance(run.pk)
    step = run.steps.get(kind="switch")
    stands = {"step": step.state, "outcome": step.outcome.get("sentence"), "reserve": ballast.path().exists()}
    filler.unlink()
    return stands


def _put_in_production() -> Rollout:
    rollout = Rollout.objects.get(state=R.APPROVED)
    olaf = User.objects.get(username="olaf")
    actions.start(rollout, user=olaf, by=actor(olaf), now=NOW)
    Run.objects.filter(rollout=rollout).update(created_at=NOW)
    return rollout


def _fill_up() -> Path:
    filler = VAR / "filler"
    with filler.open("wb") as out:
        try:
            while True:
                os.write(out.fileno(), bytes(1 << 12))
        except OSError:
            return filler


def begin(_: str) -> dict[str, Any]:
    """Try to begin something new on a full disk whose reserve is gone, then to roll back, then with room again."""
    if Rollout.objects.filter(state=R.APPROVED).exists():
        record("")
    draft = Rollout.objects.get(release__version="1.2.0")
    rita, client = User.objects.get(username="rita"), Client()
    client.force_login(rita)
    ballast.release()
    filler = _fill_up()
    told: dict[str, Any] = {"submit": _refused(lambda: actions.submit(draft, user=rita, by=actor(rita), now=NOW))}
    told["page"] = client.get("/").content.decode()
    os.truncate(filler, filler.stat().st_size - (1 << 20))  # a rollback has a megabyte
    told["rollback"] = _rolled_back()
    filler.unlink()
    told["restored"] = ballast.restore()
    told["submit_with_room"] = _refused(lambda: actions.submit(draft, user=rita, by=actor(rita), now=NOW))
    return told


def _refused(act: Callable[[], object]) -> str:
    try:
        act()
    except Refused as refusal:
        return str(refusal)
    return ""


def _rolled_back() -> str:
    rollout = Rollout.objects.get(release__version="1.1.0")
    olaf = User.objects.get(username="olaf")
    return _refused(lambda: actions.roll_back(rollout, user=olaf, why="it is slow", by=actor(olaf), now=NOW))


def look(_: str) -> dict[str, Any]:
    """Tell what stands, and what is not as it should be."""
    torn = [
        row.pk
        for row in Artifact.objects.all()
        if not evidence.path_of(row).exists() or storage.sha256_of(evidence.path_of(row)) != row.sha256
    ]
    left = [path.name for path in Path(settings.GR_ARTIFACTS).glob(".*")]
    brought = Artifact.objects.filter(sha256=hashlib.sha256(BROUGHT).hexdigest()).count()
    return {"torn": torn, "left": left, "brought": brought, "audit": audit_verify.verify_database().problems}


VERBS: dict[str, Callable[[str], dict[str, Any]]] = {
    "fill": fill,
    "upload": upload,
    "record": record,
    "begin": begin,
    "look": look,
}


def _do(verb: str, argument: str) -> NoReturn:
    os.write(1, json.dumps({"pid": os.getpid()}).encode() + b"\n")
    os.read(0, 1)  # the tracer is there
    try:
        told = VERBS[verb](argument)
        connection.close()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os.write(1, json.dumps(told).encode() + b"\n")
    os._exit(0)


def main() -> None:
    connection.close()
    with factories.that_day():
        while line := _line():
            verb, _, argument = line.partition(" ")
            child = os.fork()
            if child == 0:
                _do(verb, argument)
            _, status = os.waitpid(child, 0)
            os.write(1, json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def _line() -> str:
    """Read a line byte by byte: what comes after it is for the fork."""
    got = b""
    while not got.endswith(b"\n") and (byte := os.read(0, 1)):
        got += byte
    return got.decode().strip()


if __name__ == "__main__":
    main()
