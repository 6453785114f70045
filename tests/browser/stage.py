"""Prepares what the browser tests find: `python -m tests.browser.stage COMMAND`, beside the web process; prints JSON.

The rows are made by the product's own actions. Only the validate run is left out: what it would bring is not required
by the component of these tests, and the manifest is frozen by the same code that its last step calls.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils import timezone  # noqa: E402

from approvals import signatures, stepup  # noqa: E402
from approvals.models import Signature  # noqa: E402
from monitoring import checkpoints, incidents  # noqa: E402
from monitoring.audit import SYSTEM, Actor  # noqa: E402
from rollout import actions, backups, commands, drafting, endings, evidence, freezing, loading, locking, transitions  # noqa: E402
from rollout.intent import OUTPUT  # noqa: E402
from rollout.management.commands import demo_world  # noqa: E402
from rollout.models import Component, Release, Rollout, Run, Target  # noqa: E402
from rollout.states import RolloutState as R  # noqa: E402
from rollout.states import RunState as N  # noqa: E402
from tests.base import make_cast, make_user  # noqa: E402
from tests.browser.nasty import NASTY, SCRIPT  # noqa: E402
from tests.factories import GATES, TOML, decide  # noqa: E402

# A target for every test that decides: a newer rollout for a target supersedes the older ones.
PLACES = (
    "production",
    "staging",
    "approve",
    "reject",
    "stale",
    "noscript",
    "keys",
    "nasty",
    "read",
    "lost",
    "again",
    "passkey",
)
OTHERS = ("production", "staging", "nasty", "lost", "again")
SIGNERS = (("ann", "approver"), ("abe", "approver"), ("olaf", "deploy-operator"), ("mia", "media-eng"))
ANSWERS = {
    "": {},
    "done": {"live": "releases/0010-1.9.1", "sentence": "releases/0010-1.9.1 is live"},
    "not_done": {"live": "releases/0001-1.0.0", "sentence": "releases/0001-1.0.0 is live"},
    "unknown": {"live": "", "sentence": "the target could not be asked: no route to host"},
    "held": {"live": "", "sentence": "a command still holds the target; so far: releases/0001-1.0.0 is live"},
}
REPORT = b"line one of the report\n<script>document.title = 'ran'</script>\n"


def desk(folder: Path) -> dict[str, Any]:
    """Make people, a component with a target for every test, and rollouts that wait for decisions."""
    cast = make_cast()
    make_user("pia", "approver")  # she alone has a passkey: it changes what the pages ask for
    loading.load(component_file(folder), by=SYSTEM, now=timezone.now())
    waiting = {name: wait_at(name, cast["rita"]).pk for name in PLACES if name not in OTHERS}
    draft = draft_at("staging", cast["rita"], "1.9.0")
    unfriendly = nasty(cast)
    incident(cast["tom"])
    lost = {name: lost_at(name, cast).pk for name in ("lost", "again")}
    checkpoints.Notary(()).look(timezone.now())  # as pulse, which does not run here
    others = {"draft": draft.pk, "draft_release": draft.release_id, **lost}
    return {"rollouts": waiting | others | {"nasty": unfriendly.pk, "nasty_release": unfriendly.release_id}}


def component_file(folder: Path) -> Path:
    """Write a component.toml with every place, a runbook of every kind, and 1.0.0 live everywhere."""
    head, place, _ = TOML.partition("[environments.production]")[0], *split_place()
    policy = '[policy]\nunmatched_author = "show"\n\n[evidence]\nrequired = ["release_archive", "ci_ubuntu"]\n'
    text = head.replace("dhash media service", f"dhash {SCRIPT}") + "".join(
        place.replace("production]", f"{name}]").replace("env/production", f"env/{name}").replace("8103", str(port))
        for port, name in enumerate(PLACES, 8103)
    )
    (folder / "runbooks").mkdir(parents=True)
    for slug in ("deploy", "monitor", "rollback", "incident", "escalation"):
        lines = "\n".join(f"- [ ] {one}" for one in NASTY)
        (folder / "runbooks" / f"{slug}.md").write_text(f"# {slug} {SCRIPT}\n\n{NASTY[1]}\n\n{lines}\n")
    (folder / "quality-gates-config.json").write_text(json.dumps(GATES))
    (folder / "component.toml").write_text(text + policy)
    for name in PLACES:
        root = folder / "env" / name
        (root / "releases" / "0001-1.0.0").mkdir(parents=True)
        (root / "current").symlink_to("releases/0001-1.0.0")
    return folder / "component.toml"


def split_place() -> tuple[str, str]:
    """Return the table of one environment out of the factories' component, and what follows it."""
    start = TOML.index("[environments.production]")
    end = TOML.index("[environments.staging]")
    return TOML[start:end], TOML[end:]


def draft_at(
    place: str, rita: User, version: str, *, reason: str = "", commits: Sequence[dict[str, str]] = ()
) -> Rollout:
    """Return a complete draft of a release of its own."""
    by, now = who(rita), timezone.now()
    target = Target.objects.get(environment__name=place)
    release = drafting.create_release(
        target.component, version=version, commit="ab" * 20, commits=commits or honest(), user=rita, by=by, now=now
    )
    bring(release, rita)
    reason = reason or f"Customers of {place} wait for it."
    rollout = drafting.create_rollout(release, target, reason=reason, user=rita, by=by, now=now)
    drafting.tune(rollout, changes={}, accepted=True, user=rita, by=by, now=timezone.now())
    return Rollout.objects.get(pk=rollout.pk)


def bring(release: Release, rita: User) -> None:
    """Bring the evidence that is required."""
    by, now = who(rita), timezone.now()
    name = f"dhash-{release.version}.zip"
    evidence.attach(release, kind="release_archive", name=name, chunks=[name.encode() * 900], user=rita, by=by, now=now)
    evidence.attach(release, kind="monitor_logs", name="monitor.html", chunks=[REPORT], user=rita, by=by, now=now)
    url = "https://github.com/example-org/dhash/actions/runs/4711"
    evidence.link(release, kind="ci_ubuntu", url=url, user=rita, by=by, now=now)


def wait_at(place: str, rita: User) -> Rollout:
    """Return a rollout that waits for its sign-off."""
    return freeze(draft_at(place, rita, f"1.{PLACES.index(place)}.1"))


def lost_at(place: str, cast: dict[str, User]) -> Rollout:
    """Return a rollout whose switch was started, and nobody saw how it ended."""
    olaf, now = cast["olaf"], timezone.now()
    rollout = wait_at(place, cast["rita"])
    for name, duty in SIGNERS[:3]:
        decide(rollout, cast[name], duty, now=now, authenticated_at=now)
    run = actions.start(Rollout.objects.get(pk=rollout.pk), user=olaf, by=who(olaf), now=now)
    rollout = Rollout.objects.get(pk=rollout.pk)
    path = f"{settings.GR_BACKUPS}/dhash_{place}_20261123_120000.zip"
    facts = {"kind": "backup", "path": path, "sha256": "b" * 64, "size": 10, "members": 0, "rows": {}}
    backup = backups.register(run.target, {**facts, "release_version": "1.0.0"}, run=run, by=SYSTEM, now=now)
    transitions.move(run, N.RUNNING, by=who(olaf), now=now, started_at=now)
    transitions.move(rollout, R.RUNNING, by=who(olaf), now=now, started_at=now, backup=backup)
    switch = run.steps.get(kind="switch")
    run.steps.filter(number__lt=switch.number).update(state="SUCCEEDED", attempt=1, started_at=now, ended_at=now)
    transitions.move(switch, "RUNNING", by=SYSTEM, now=now, attempt=1, started_at=now)
    (commands.folder_of(switch) / OUTPUT).write_text(f"current -> {switch.params['release_dir']}\n+ true  # reload\n")
    endings.unknown(Run.objects.get(pk=run.pk), switch, why="the worker and its runner were killed", now=now)
    return rollout


def answer(number: str, key: str) -> dict[str, str]:
    """Let the target have answered something about the rollout that is lost; "" takes the answer back."""
    now = timezone.now()
    probe = {"held": key == "held", "answer": "unknown" if key == "held" else key, **ANSWERS[key]}
    wanted = {"probe": probe, "probed_at": now} if key else {"probe": {}, "probed_at": None}
    Run.objects.filter(rollout_id=number, state=N.UNKNOWN).update(**wanted)
    return {"answer": key}


def again(number: str, name: str) -> dict[str, str]:
    """Let somebody have asked to try the lost step again; "" takes the wish back."""
    asked = User.objects.filter(username=name).first()
    why = "The reload never reached the service: its log has no line since 12:00." if asked else ""
    runs = Run.objects.filter(rollout_id=number, state=N.UNKNOWN)
    runs.update(again_by=asked, again_why=why, again_at=timezone.now() if asked else None)
    return {"asked": name}


def freeze(rollout: Rollout) -> Rollout:
    """Freeze the manifest as the last step of a validate run does."""
    now = timezone.now()
    transitions.move(rollout, R.VALIDATING, by=SYSTEM, now=now, previous_version=rollout.target.live_version)
    freezing.freeze(rollout, by=SYSTEM, now=now)
    return Rollout.objects.get(pk=rollout.pk)


def honest() -> list[dict[str, str]]:
    """Return commits as CI names them."""
    subjects = ("Store the average colour", "Match by it when two hashes are near")
    known = {"author": "Nora Field", "email": "nora.field@example.org"}
    return [{"sha": f"{n:x}" * 40, "subject": text, **known} for n, text in enumerate(subjects, 10)]


def nasty(cast: dict[str, User]) -> Rollout:
    """Return a rollout whose every text would like to be a program; its target is locked with another one."""
    rita, tom = cast["rita"], cast["tom"]
    same = {"sha": "e" * 40, "email": "x@example.org"}
    commits = [{**same, "subject": one, "author": one} for one in NASTY]
    rollout = freeze(draft_at("nasty", rita, "6.6.6", reason=" ".join(NASTY), commits=commits))
    Release.objects.filter(pk=rollout.release_id).update(notes="\n\n".join(NASTY))
    locking.lock(rollout.target, user=tom, why=" ".join(NASTY), by=who(tom), now=timezone.now())
    return rollout


def incident(tom: User) -> None:
    """Open an incident about nothing that runs, with unfriendly words in it."""
    target, now = Target.objects.get(environment__name="nasty"), timezone.now()
    opened = incidents.open(
        subject=transitions.subject_of(target),
        severity="P1",
        title=f"Slow {SCRIPT}",
        summary=" ".join(NASTY),
        runbook="incident",
        by=who(tom),
        routes=(),
        url="",
        now=now,
    )
    incidents.note(opened, text=" ".join(NASTY), by=who(tom), user=tom, now=now)
    incidents.attach(opened, name=f"{SCRIPT}.html", data=REPORT, by=who(tom), now=now)


def age() -> dict[str, int]:
    """Let every session forget when its password was entered, as if five minutes had gone by."""
    changed = 0
    for row in Session.objects.all():
        store = SessionStore(session_key=row.session_key)
        changed += store.pop(stepup.KEY, None) is not None
        store.save()
    return {"aged": changed}


def who(user: User) -> Actor:
    """Return a person as the audit names one who uses a browser."""
    return Actor(id=user.pk, name=user.get_username(), via="browser")


def submit(folder: Path) -> dict[str, int]:
    """Let Rita bring dhash 1.1.0 with all its evidence and submit it for production; the workers validate it."""
    cast = make_cast()
    rita, by = cast["rita"], who(cast["rita"])
    loading.load(folder / "component.toml", by=SYSTEM, now=timezone.now())
    known = json.loads((folder / "releases" / "releases.json").read_text())
    facts = next(one for one in known if one["version"] == "1.1.0")
    release = demo_world.make_release(Component.objects.get(), facts, folder / "releases", user=rita, by=by)
    rollout = demo_world.make_rollout(release, "production", "Customers wait for it.", user=rita, by=by)
    drafting.tune(rollout, changes={}, accepted=True, user=rita, by=by, now=timezone.now())
    rollout.refresh_from_db()
    actions.submit(rollout, user=rita, by=by, now=timezone.now())
    return {"rollout": rollout.pk}


def sign(number: str) -> dict[str, bool]:
    """Let the four people sign as soon as the rollout waits for them."""
    rollout = Rollout.objects.get(pk=number)
    if rollout.state == R.DRAFT:
        raise SystemExit(f"the validate run failed: {rollout.state_why}")
    if rollout.state != R.WAITING:
        return {"approved": rollout.state == R.APPROVED}
    for name, duty in SIGNERS:
        decide(rollout, User.objects.get(username=name), duty, now=timezone.now(), authenticated_at=timezone.now())
    return {"approved": True}


COMMANDS = {
    "desk": lambda folder: desk(Path(folder)),
    "age": age,
    "submit": lambda folder: submit(Path(folder)),
    "sign": sign,
    "answer": answer,
    "again": again,
    "signatures": lambda: [signatures.document(one) for one in Signature.objects.order_by("pk")],
}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
