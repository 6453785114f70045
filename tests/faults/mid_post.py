"""The web server is killed in the middle of a POST, round after round: `python -m tests.faults.mid_post ROUNDS SEED`.

A real gunicorn on a database of its own. A decision, a start or an upload is sent under a key; at a seeded moment the
worker, its master or both are killed; what the database then holds must be all of it or nothing. The same form, sent
again to the server that came back, does it once at last.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import django

django.setup()

import requests  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from approvals import stepup  # noqa: E402
from approvals.models import Decision  # noqa: E402
from monitoring import storage  # noqa: E402
from monitoring.models import AuditEntry  # noqa: E402
from rollout import nudge, once  # noqa: E402
from rollout.models import Artifact, Idempotency, Rollout, Run, Target  # noqa: E402
from rollout.states import RolloutState as R  # noqa: E402
from tests import factories  # noqa: E402
from tests.base import make_cast  # noqa: E402
from tests.faults.proc import children_of, free_ports, lives, wait_for  # noqa: E402

VICTIMS = ("worker", "master", "both")
UPLOAD_BYTES = 24 << 20
TOKEN = "t" * 32


@dataclass
class Web:
    """Gunicorn, which can be killed and comes back."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    master: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        argv = [sys.executable, "-m", "gunicorn", "tests.faults.slow_answer", "--workers", "1"]
        argv += ["--bind", f"127.0.0.1:{self.port}"]
        with Path("web.log").open("ab") as log:
            self.master = subprocess.Popen(argv, cwd=settings.BASE_DIR, stdout=log, stderr=log)
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        wait_for(self.answers, "gunicorn answers", patience_s=90)

    def answers(self) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def workers(self) -> list[int]:
        return children_of(self.master.pid) if self.master else []

    def kill(self, victim: str) -> None:
        """Kill a part of it without a warning, and wait until it and what hangs on it are gone."""
        assert self.master is not None
        workers = self.workers()
        if victim != "worker":
            self.master.kill()
        if victim != "master":
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
        if victim != "worker":
            self.master.wait()
        wait_for(lambda: not any(lives(pid) for pid in workers), f"the end of {victim}", patience_s=90)

    def revive(self) -> None:
        """Have it back: a master brings its worker back itself."""
        if self.master is None or self.master.poll() is not None:
            self.start()
        else:
            self.wait()

    def stop(self) -> None:
        if self.master is not None and self.master.poll() is None:
            self.kill("both")


@dataclass
class Form:
    """A form under a key, and how to count what it did."""

    user: str
    url: str
    data: dict[str, str]
    done: Callable[[], int]
    told: Callable[[], int]
    kind: str
    file: bytes = b""
    where: str = ""

    def send(self, port: int) -> requests.Response:
        """Send it as the browser of its person."""
        files = {"file": ("premerge.zip", self.file, "application/zip")} if self.file else None
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                f"http://127.0.0.1:{port}{self.url}",
                data={**self.data, "csrfmiddlewaretoken": TOKEN},
                files=files,
                cookies={settings.CSRF_COOKIE_NAME: TOKEN, settings.SESSION_COOKIE_NAME: SESSIONS[self.user]},
                allow_redirects=False,
                timeout=90,
            )

    @property
    def keys(self) -> int:
        return Idempotency.objects.filter(key=self.data[once.FIELD]).count()


CAST: dict[str, User] = {}
SESSIONS: dict[str, str] = {}


def decide(number: int) -> Form:
    """Approve."""
    rollout = factories.make_waiting(target(), CAST["rita"], f"1.1.{number}")
    values = {"kind": "APPROVE", "duty": "approver", "digest": rollout.digest, "reason": "seen", "diff_opened": ""}
    return Form(
        user="ann",
        url=f"/rollouts/{rollout.pk}/decide/",
        data={**values, **key()},
        done=Decision.objects.filter(sign_off=rollout.sign_off).count,
        told=AuditEntry.objects.filter(action="sign_off.approved", subject_id=str(rollout.pk)).count,
        kind="decide",
        where=rollout.get_absolute_url(),
    )


def deploy(number: int) -> Form:
    """Start."""
    rollout = factories.make_approved(target(), CAST, f"1.1.{number}")
    runs = Run.objects.filter(rollout=rollout, kind="deploy")

    def done() -> int:
        queued = Rollout.objects.filter(pk=rollout.pk, state=R.QUEUED).count()
        assert queued == runs.count(), "the run without its move, or the move without its run"
        return queued

    entries = AuditEntry.objects.filter(action="rollout.queued", subject_id=str(rollout.pk))
    url = f"/rollouts/{rollout.pk}/start/"
    values = {"digest": rollout.digest, **key()}
    return Form("olaf", url, values, done, entries.count, "deploy", where=rollout.get_absolute_url())


def upload(number: int) -> Form:
    """Bring a file."""
    release = factories.make_release(target().component, CAST["rita"], f"1.1.{number}")
    content = random.randbytes(1 << 20) * (UPLOAD_BYTES >> 20)
    kept = Artifact.objects.filter(release=release, kind="premerge_artifacts")

    def done() -> int:
        for one in kept.all():
            bytes_kept = storage.path_of(settings.GR_ARTIFACTS, one.sha256).read_bytes()
            assert sha256(bytes_kept).hexdigest() == one.sha256 == sha256(content).hexdigest(), "another file is kept"
        return kept.all().count()

    entries = AuditEntry.objects.filter(action="artifact.attached", subject_id=str(release.pk), via="browser")
    told = entries.exclude(body__contains='"kind":"release_archive"').count
    values = {"kind": "premerge_artifacts", **key()}
    where = f"/releases/{release.pk}/#evidence"
    return Form("rita", f"/releases/{release.pk}/artifacts/", values, done, told, "upload", content, where)


FORMS = (decide, deploy, upload)
# how long each takes here and now, so that kills fall before, in and just after its transaction
TOOK_S = {"decide": 0.2, "deploy": 0.2, "upload": 1.0}


def key() -> dict[str, str]:
    return {once.FIELD: once.new_key(timezone.now())}


def target() -> Target:
    """Return the target, free again."""
    factories.NOW = timezone.now()  # type: ignore[misc]
    Rollout.objects.filter(runs__state="QUEUED").update(state=R.CANCELLED)
    Run.objects.filter(state="QUEUED").update(state="CANCELLED")
    return Target.objects.get(environment__name="production")


def one_round(web: Web, form: Form, victim: str, after_s: float, happened: Counter[str]) -> list[str]:
    """Send, kill, look, send again; return what was wrong."""
    answers: list[Any] = []

    def send() -> None:
        try:
            answers.append(form.send(web.port).status_code)
        except requests.RequestException as cut:
            answers.append(type(cut).__name__)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(after_s)
    web.kill(victim)
    sender.join()
    done = form.done()
    happened[f"{'answered' if answers == [302] else 'cut'}, {'done' if done else 'not done'}"] += 1
    faults = check(done <= 1 and done == form.told() == form.keys, f"{done} done, {form.told()} told, {form.keys} keys")
    faults += check(answers[0] != 302 or done == 1, "told that it was done, and it was not")
    web.revive()
    for sent in ("the retry", "one more"):
        began = time.monotonic()
        answer = form.send(web.port)
        if sent == "the retry" and not done:
            TOOK_S[form.kind] = time.monotonic() - began
        led = (answer.status_code, answer.headers.get("Location")) == (302, form.where)
        faults += check(led, f"{answer.status_code} to {answer.headers.get('Location')}: {answer.text[:500]}")
        counted = (form.done(), form.told(), form.keys)
        faults += check(counted == (1, 1, 1), f"after the retry: done, told, keys are {counted}")
    return [f"{form.url} {victim} after {after_s:.3f} s: {fault}" for fault in faults]


def check(holds: bool, what: str) -> list[str]:
    return [] if holds else [what]


def prepare() -> None:
    """Make database, people, component and sessions."""
    call_command("migrate", verbosity=0)
    nudge._soon = lambda *message: None  # type: ignore[assignment]
    CAST.update(make_cast())
    factories.make_target(Path("dhash"))
    for name, user in CAST.items():
        client = Client()
        client.force_login(user)
        SESSIONS[name] = client.session.session_key or ""


def main(rounds: int, seed: int) -> None:
    """Run the rounds; print what happened."""
    chance = random.Random(seed)
    random.seed(seed)
    prepare()
    web, happened, faults, began = Web(), Counter[str](), [], time.monotonic()
    web.start()
    try:
        for number in range(rounds):
            form = FORMS[number % len(FORMS)](number)
            prove()
            victim = VICTIMS[number // len(FORMS) % len(VICTIMS)]
            faults += one_round(web, form, victim, chance.uniform(0, 1.2 * TOOK_S[form.kind]), happened)
            if len(faults) > 10:
                break
    finally:
        web.stop()
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"rounds": rounds, "seed": seed, **happened, "seconds": seconds, "faults": faults}))


def prove() -> None:
    """Let every session have proved a moment ago who its person is."""
    for name in SESSIONS:
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = SESSIONS[name]
        session = client.session
        session[stepup.KEY] = timezone.now().isoformat()
        session.save()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
